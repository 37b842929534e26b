"""Lines of the gateway's log of requests, as tests make them."""

from __future__ import annotations

import json

TIME = "2026-03-01T12:{:02d}:00+00:00"


def line(number: int, request: str = "GET /feast/health", *, status: int = 200, **changes: str) -> str:
    method, _, path = request.partition(" ")
    slot = {"serving": "serving", "feast": "feature_store", "dvc": "data_versioning", "prometheus": "monitoring"}
    found = {
        "id": f"{number:032x}",
        "time": TIME.format(0),
        "user": "ann",
        "method": method,
        "path": path,
        "status": str(status),
        "slot": slot.get(path.split("/")[1], ""),
    }
    return json.dumps({**found, **changes})
