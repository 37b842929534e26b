"""Metrics, health, and reports over HTTP, on loopback; by POST labels are handed over and a look is asked for."""

from __future__ import annotations

import html
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import Gauge, make_wsgi_app

MODEL = ["model", "version"]
ROWS = Gauge("terrace_drift_rows", "Predictions that were looked at", MODEL)
HAS_REFERENCE = Gauge("terrace_drift_has_reference", "Whether the version was registered with a reference", MODEL)
SHARE = Gauge("terrace_drift_share", "Share of the inputs that have drifted", MODEL)
SHARE_LIMIT = Gauge("terrace_drift_share_limit", "Share of drifted inputs above which an alert is sent")
DISTANCE = Gauge("terrace_drift_distance", "How far a column is from the reference", [*MODEL, "column"])
DRIFTED = Gauge("terrace_drift_drifted", "Whether a column has drifted", [*MODEL, "column"])
MISSING = Gauge("terrace_drift_missing_share", "Share of a column's values that are missing", [*MODEL, "column"])
REFERENCE_MISSING = Gauge(
    "terrace_drift_reference_missing_share", "The same share in the reference", [*MODEL, "column"]
)
LATEST = "latest"  # the window of the latest labelled predictions, whenever they were
WINDOWS = 12  # so many others are told of
WINDOW = [*MODEL, "window"]
LABELS = Gauge("terrace_labels", "Labels that are known", ["model"])
LABELS_UNMATCHED = Gauge("terrace_labels_unmatched", "Labels that belong to no kept prediction", ["model"])
UNFIT = Gauge("terrace_labels_unfit", "Labels that are not of the kind that predictions are", MODEL)
LABELLED = Gauge("terrace_quality_rows", "Predictions whose label is known", WINDOW)
DELAY = Gauge("terrace_quality_label_delay_seconds", "Median time from a prediction to its label", WINDOW)
SCORE = Gauge("terrace_quality_score", "How well predictions rank what happened; docs/models.md says by what", WINDOW)
SCORE_ERROR = Gauge("terrace_quality_score_error", "Standard error of that", WINDOW)
REFERENCE_SCORE = Gauge("terrace_quality_reference_score", "The same in its evaluation, in the lowest window", MODEL)
LOSS = Gauge("terrace_quality_loss", "Further measures; smaller is better", [*WINDOW, "measure"])
OUTCOME = Gauge("terrace_quality_outcome", "Mean of what happened", WINDOW)
EXPECTED = Gauge("terrace_quality_expected", "Mean of what was predicted", WINDOW)
REFERENCE_OUTCOME = Gauge("terrace_quality_reference_outcome", "Mean of what happened in its evaluation", MODEL)
LOW = Gauge("terrace_quality_low", "Whether predictions rank worse than in the evaluation", MODEL)
SEASON = Gauge("terrace_quality_season", "Whether outcomes are another season's, and the ranking is as good", MODEL)
LAST_LOOK = Gauge("terrace_drift_last_success_timestamp_seconds", "When everything was last looked at")
INTERVAL = Gauge("terrace_drift_interval_seconds", "Time between two looks")
BY_MODEL = (
    *(ROWS, HAS_REFERENCE, SHARE, DISTANCE, DRIFTED, MISSING, REFERENCE_MISSING),
    *(LABELS, LABELS_UNMATCHED, UNFIT, LABELLED, DELAY, SCORE, SCORE_ERROR, REFERENCE_SCORE),
    *(LOSS, OUTCOME, EXPECTED, REFERENCE_OUTCOME, LOW, SEASON),
)
Take = Callable[[bytes], tuple[str, Mapping[str, Any]]]


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        pass


def report_file(reports: Path, model: str, version: str) -> Path:
    """Return where the latest report on a version is."""
    return reports / quote(model, safe="") / f"{version}.html"


def serve(port: int, reports: Path, wanted: threading.Event, take: Take) -> int:
    """Answer from a thread, and return the port. ``take`` keeps the labels of a body."""
    metrics = make_wsgi_app()

    def page(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        if (method, path) == ("GET", "/metrics"):
            answer: Iterable[bytes] = metrics(environ, start)
            return answer
        if (method, path) == ("POST", "/look"):
            wanted.set()
            return _answer(start, "202 Accepted", "text/plain", b"it will look at once\n")
        if (method, path) == ("POST", "/labels"):
            status, told = take(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
            return _answer(start, status, "application/json", json.dumps(told).encode())
        if (method, path) == ("GET", "/health"):
            return _answer(start, "200 OK", "text/plain", b"ok\n")
        if (method, path) == ("GET", "/"):
            return _answer(start, "200 OK", "text/html", _index(reports).encode())
        found = reports / path.lstrip("/")
        if method == "GET" and found in _reports(reports):
            return _answer(start, "200 OK", "text/html", found.read_bytes())
        return _answer(start, "404 Not Found", "text/plain", b"there is no such report\n")

    server = make_server(os.environ.get("LISTEN", "127.0.0.1"), port, page, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def _answer(start: Callable[..., Any], status: str, kind: str, body: bytes) -> list[bytes]:
    start(status, [("content-type", f"{kind}; charset=utf-8"), ("content-length", str(len(body)))])
    return [body]


def _reports(reports: Path) -> list[Path]:
    return sorted(reports.glob("*/*.html"))


def _index(reports: Path) -> str:
    lines = [_line(file, reports) for file in _reports(reports)]
    listed = f"<ul>{''.join(lines)}</ul>" if lines else "<p>No version has been compared yet.</p>"
    return f"<!doctype html><html lang=en><meta charset=utf-8><title>Drift</title><h1>Drift</h1>{listed}</html>"


def _line(file: Path, reports: Path) -> str:
    address, made = quote(str(file.relative_to(reports))), time.gmtime(file.stat().st_mtime)
    name = f"{unquote(file.parent.name)} version {file.stem.replace('-', ', ')}"
    return f'<li><a href="{address}">{html.escape(name)}</a>, {time.strftime("%Y-%m-%d %H:%M UTC", made)}</li>'
