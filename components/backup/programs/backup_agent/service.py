"""Backs up once a day, and shows on a page of metrics how that goes."""

from __future__ import annotations

import datetime
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from . import job
from .errors import AgentError
from .records import Records
from .settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 15  # between two looks at whether a backup is due
RETRY_SECONDS = 600  # after one that failed or was killed
AHEAD_SECONDS = 60  # by which an attempt may lie ahead of the clock, when it is corrected
PREFIX = "terrace_backup_"
METRICS = {
    "last_success_timestamp_seconds": "When the last backup succeeded.",
    "last_run_succeeded": "Whether the last backup that has ended succeeded.",
    "duration_seconds": "How long the last backup took that succeeded.",
    "size_bytes": "How much the last backup that succeeded holds.",
    "repository_bytes": "How much space all backups take.",
    "kept": "How many backups there are.",
}


def due(attempts: dict[str, Any], now: float, at: str) -> bool:
    """Return whether it's time for a backup: there was none yet, a day's is missing, or the last one failed.

    Nobody knows how long ago one was that lies ahead: the clock was set back since, and may have been wrong for years.
    """
    started = attempts["started"]
    if started is None or started > now + AHEAD_SECONDS:
        return True
    failed = attempts["error"] or attempts["ended"] is None
    return bool(started < latest(now, at) or (failed and now - started >= RETRY_SECONDS))


def latest(now: float, at: str) -> float:
    """Return when the time of day ``at`` was last, in local time."""
    today = datetime.datetime.fromtimestamp(now)  # the option is the host's own time
    hour, minute = map(int, at.split(":"))
    moment = today.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (moment if moment <= today else moment - datetime.timedelta(days=1)).timestamp()


def page(attempts: dict[str, Any]) -> str:
    """Return the metrics; what isn't known yet is left out."""
    values: dict[str, float] = {}
    if attempts["error"] or attempts["succeeded"]:
        values["last_run_succeeded"] = 0 if attempts["error"] else 1
    if attempts["succeeded"]:
        values["last_success_timestamp_seconds"] = attempts["succeeded"]
        for last in list(attempts["backups"].values())[-1:]:
            values["duration_seconds"] = last["seconds"]
            values["size_bytes"] = last["bytes"]
        values["repository_bytes"] = attempts["size"]
        values["kept"] = len(attempts["backups"])
    return "".join(
        f"# HELP {PREFIX}{name} {METRICS[name]}\n# TYPE {PREFIX}{name} gauge\n{PREFIX}{name} {value}\n"
        for name, value in values.items()
    )


def serve(settings: Settings) -> None:
    """Run until the process is ended."""
    records = Records(settings)

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            body = page(records.attempts()).encode() if self.path == "/metrics" else b"ok\n"
            self.send_response(200 if self.path in ("/metrics", "/health") else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: Prometheus asks four times a minute."""

    server = ThreadingHTTPServer(("127.0.0.1", settings.port), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        if due(records.attempts(), time.time(), settings.at):
            back_up_once(settings)
        time.sleep(LOOK_SECONDS)


def back_up_once(settings: Settings) -> None:
    """Back up, and log how it ended; the metrics tell it too."""
    try:
        done = job.back_up(settings, lambda step, percent=None: logger.info("%s", step) if not percent else None)
    except AgentError as error:
        logger.error("backup failed: %s", error)  # noqa: TRY400  # the trace says no more
    else:
        logger.info("backup %s took %s s", done["id"], done["seconds"])
