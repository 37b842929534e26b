"""The log over HTTP: sources send events to ``/events``, the gateway's people read.

A connection's user, as the kernel knows it, says who is at its other end. The services that were told to and
root may send. The gateway, which has asked for an account and its right, and root may read.

In a cluster, where no kernel knows that, each source shows a token, and the gateway its own with what people ask.
"""

from __future__ import annotations

import html
import json
import logging
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from .events import WrongEvent, parse
from .peers import user_of
from .settings import LARGEST_BYTES, Settings
from .store import Store
from .watch import Watch

logger = logging.getLogger(__name__)

GATEWAY = "gateway"
READERS = (GATEWAY, "root")
OPERATOR = "operator"  # the source of what comes through the gateway, by the platform's own account
MOST_LINES = 5000
SHOWN = 200
COLUMNS = ("sequence", "time", "actor", "action", "object", "outcome", "count", "source")


class Server(ThreadingHTTPServer):
    """The log's server."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, settings: Settings, store: Store, watch: Watch) -> None:
        super().__init__((settings.address, settings.port), Handler)
        self.settings, self.store, self.watch = settings, store, watch


class Handler(BaseHTTPRequestHandler):
    """Answers a request."""

    server: Server
    server_version = "audit"
    sys_version = ""
    timeout = 60

    def do_GET(self) -> None:  # the base class's name
        """Answer with health, metrics, or, to who may read, the log."""
        url = urlsplit(self.path)
        if url.path == "/health":
            healthy = self.server.watch.writable
            self._answer(200 if healthy else 503, b"ok\n" if healthy else b"the log can't be written\n")
        elif url.path == "/metrics":
            self._answer(200, self.server.watch.page().encode(), "text/plain; version=0.0.4")
        elif url.path not in ("/", "/records", "/log"):
            self._answer(404, b"not found\n")
        elif self._source() not in READERS:
            self._answer(403, b"read it through the gateway\n")
        else:
            self._show(url.path, {name: values[-1] for name, values in parse_qs(url.query).items()})

    def do_POST(self) -> None:  # the base class's name
        """Take events, and answer once they are written down."""
        source = self._source()
        if source is None or self.path != "/events":
            self._answer(403 if source is None else 404, b"no source of events, or no such page\n")
            return
        if source == GATEWAY and self.headers.get("X-Forwarded-For"):
            source = OPERATOR
        try:
            length = int(self.headers.get("Content-Length", "0"))
            if not 0 < length <= LARGEST_BYTES:
                raise WrongEvent("there are none, or too many")
            events = [parse(each) for each in json.loads(self.rfile.read(length))["events"]]
        except (ValueError, KeyError, TypeError) as error:
            self._json(400, {"error": str(error)})
            return
        self._take(source, events)

    def _take(self, source: str, events: list[Any]) -> None:
        try:
            new = self.server.store.append(source, events)
        except OSError as error:
            self.server.watch.writable = False
            logger.exception("%s events of %s could not be written", len(events), source)
            self._json(503, {"error": error.strerror or "they could not be written"})
            return
        if events:
            self.server.watch.writable = True
        self.server.watch.heard(source)
        self._json(200, {"recorded": new, "sequence": self.server.store.head.sequence})

    def _show(self, path: str, asked: dict[str, str]) -> None:
        try:
            most = max(1, min(MOST_LINES, int(asked.get("limit", SHOWN))))
            if path == "/log":
                self._json(200, self.server.store.page(asked.get("cursor", ""), MOST_LINES))
                return
            since, actor, action = (asked.get(name, "") for name in ("since", "actor", "action"))
            found = self.server.store.find(since, actor, action, most)
        except ValueError as error:
            self._json(400, {"error": str(error)})
            return
        if path == "/records":
            self._json(200, {"records": found})
        else:
            self._answer(200, page(self.server.settings.environment, found).encode(), "text/html; charset=utf-8")

    def _source(self) -> str | None:
        settings = self.server.settings
        if settings.source_key:
            return settings.shown(self.headers)
        return settings.source(user_of(self.client_address, self.connection.getsockname()), self.headers)

    def _json(self, code: int, document: Any) -> None:
        self._answer(code, json.dumps(document).encode(), "application/json")

    def _answer(self, code: int, content: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Leave it to the gateway's log, which knows who asked."""


def page(environment: str, records: list[dict[str, Any]]) -> str:
    """Return a page of records, the latest first."""
    head = "".join(f"<th scope=col>{name}</th>" for name in COLUMNS)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(record.get(name, '')))}</td>" for name in COLUMNS) + "</tr>"
        for record in reversed(records)
    )
    title = f"Audit log of {html.escape(environment)}"
    style = "body{font:15px system-ui;margin:2em;color-scheme:light dark}td,th{text-align:left;padding:.2em 1em .2em 0}"
    return (
        f"<!doctype html><html lang=en><title>{title}</title><style>{style}</style><h1>{title}</h1>"
        f"<p>The last {len(records)} records, the latest first; <code>terrace audit {html.escape(environment)}</code> "
        f"finds others, and verifies all.</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></html>"
    )
