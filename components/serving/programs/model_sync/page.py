"""The program's metrics and health page, on loopback or the address ``LISTEN``."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import Counter, Gauge, make_wsgi_app

SERVED = Gauge("terrace_model_sync_served_version", "The registry's version that is served", ["model"])
FAILED = Gauge("terrace_model_sync_failed", "1 while the version with the alias cannot be served", ["model", "version"])
WITHOUT_OWNER = Gauge("terrace_model_sync_without_owner", "1 while nobody is named who owns the model", ["model"])
DEPLOYMENTS = Counter("terrace_model_sync_deployments_total", "Deployments by their end", ["model", "result"])
REGISTRY_UP = Gauge("terrace_model_sync_registry_up", "Whether the registry answered the last time it was asked")
SERVER_UP = Gauge("terrace_model_sync_server_up", "Whether MLServer answered the last time it was asked")
LAST_SYNC = Gauge("terrace_model_sync_last_success_timestamp_seconds", "When models were last what the registry asks")


@dataclass
class Health:
    """How the program fares; ``problem`` is empty while all is well."""

    problem: str = "starting"
    served: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    beat: float = field(default_factory=time.monotonic)


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        pass


def serve(port: int, health: Health, silence: float) -> None:
    """Answer ``/metrics`` and ``/health`` from a thread.

    ``/health`` is 503 when the last look at the registry or MLServer did not succeed, or is more than ``silence``
    seconds ago with nothing being deployed. A version that failed does not make it ill: another one is served.
    """
    metrics = make_wsgi_app()

    def page(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/health":
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        problem = health.problem
        if not problem and time.monotonic() - health.beat > silence:
            problem = "it has not looked at the registry for too long"
        start("503 Service Unavailable" if problem else "200 OK", [("content-type", "application/json")])
        body = {"problem": problem, "served": health.served, "failed": health.failed}
        return [json.dumps(body).encode()]

    server = make_server(os.environ.get("LISTEN", "127.0.0.1"), port, page, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
