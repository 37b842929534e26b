"""Lines of the gateway's log of requests, as tests make them, and what they mean on a platform of tier 3."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest

from components.gateway.programs.audit_collector.acts import Acts
from components.gateway.programs.audit_collector.requests import Reader
from tests.components.recording import blueprint, plan

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


@functools.cache
def acts() -> Acts:
    """Return what requests mean, from the files that the services of tier 3 drop."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for resource in plan(blueprint(3, folder)):
            variables = json.loads(str(resource.inputs.get("variables", "{}")))
            routes = [route["acts"] for route in variables.get("service_routes", [])]
            dropped = routes or [variables[key] for key in ("gateway_folder_acts",) if key in variables]
            if dropped:
                (folder / f"{resource.urn.rpartition('::')[2]}.acts").write_text(json.dumps(dropped))
        return Acts.load(folder)


def reader(seen: dict[str, float] | None = None) -> Reader:
    """Return a reader that knows Ann."""
    return Reader({"ann"}, acts(), seen)


class Nginx:
    """What writes the log."""

    def __init__(self, path: Path) -> None:
        self.path, self.written, self.reopened = path, 0, 0
        self.file = path.open("a")

    def write(self, count: int) -> None:
        for _ in range(count):
            self.written += 1
            self.file.write(line(self.written) + "\n")
        self.file.flush()

    def reopen(self) -> None:
        self.reopened += 1
        self.file.close()
        self.file = self.path.open("a")


@pytest.fixture
def nginx(tmp_path: Path) -> Any:
    """What writes the log, into a folder."""
    made = Nginx(tmp_path / "requests.jsonl")
    yield made
    made.file.close()
