"""Serves the portal: its pages, the services' health as JSON, and both as metrics for Prometheus.

``PORTAL_FOLDER`` holds ``site/``, ``outputs.json``, which lists the services, and ``status.py``, which asks them.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript"}
FRESH_SECONDS = 5.0  # how long an answer about health is given again
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


class HealthOfAll:
    """How the services are, asked at most every few seconds however many people look."""

    def __init__(self, examine: Callable[[], dict[str, Any]]) -> None:
        self._examine = examine
        self._lock = threading.Lock()
        self._asked = -FRESH_SECONDS
        self._found: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """Return what `terrace status --json` prints."""
        with self._lock:
            if time.monotonic() - self._asked >= FRESH_SECONDS:
                self._found = self._examine()
                self._asked = time.monotonic()
            return self._found

    def metrics(self) -> str:
        """Return the same in Prometheus' text format."""
        lines = [
            "# HELP terrace_service_healthy 1 when the service's probe succeeds",
            "# TYPE terrace_service_healthy gauge",
        ]
        lines += [
            f'terrace_service_healthy{{slot="{one["slot"]}",name="{one["name"]}"}} {int(one["healthy"])}'
            for one in self.document()["services"]
        ]
        return "\n".join(lines) + "\n"


class Server(ThreadingHTTPServer):
    """The pages of a folder, and the services' health."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], folder: Path, health: HealthOfAll) -> None:
        super().__init__(address, Handler)
        self.health = health
        self.pages = {f"/{file.name}": file for file in (folder / "site").iterdir()}
        self.pages["/"] = self.pages["/index.html"]


class Handler(BaseHTTPRequestHandler):
    """Answers a GET or a HEAD; everything else is refused by the base class."""

    server: Server
    server_version = "portal"
    sys_version = ""

    def do_GET(self) -> None:  # the base class's name
        """Answer with a page, the health, or 404."""
        path = self.path.partition("?")[0]
        if path == "/health":
            self._answer(200, "text/plain", b"ok\n")
        elif path == "/health.json":
            self._answer(200, "application/json", json.dumps(self.server.health.document()).encode())
        elif path == "/metrics":
            self._answer(200, "text/plain; version=0.0.4", self.server.health.metrics().encode())
        elif path in self.server.pages:
            file = self.server.pages[path]
            self._answer(200, TYPES[file.suffix], file.read_bytes())
        else:
            self._answer(404, "text/plain", b"not found\n")

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, code: int, kind: str, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind if ";" in kind else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Leave it to the gateway's log, which knows who asked."""


def main() -> None:
    """Serve until the process is told to end."""
    folder = Path(os.environ["PORTAL_FOLDER"])
    sys.path.insert(0, str(folder))
    status = importlib.import_module("status")
    environment, ca_file = os.environ["PORTAL_ENVIRONMENT"], Path(os.environ["PORTAL_CA_FILE"])
    outputs = json.loads((folder / "outputs.json").read_text(encoding="utf-8"))
    health = HealthOfAll(lambda: status.examine(environment, outputs, ca_file).document())
    address = os.environ.get("LISTEN", "127.0.0.1"), int(os.environ["PORTAL_PORT"])
    Server(address, folder, health).serve_forever()


if __name__ == "__main__":
    main()
