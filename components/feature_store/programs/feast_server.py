"""Run Feast's command line with its metrics on loopback, at the port that ``FEAST_METRICS_PORT`` gives.

Feast 0.67 has no option for either: ``feast serve --metrics`` listens on every interface at port 8000. This
replaces the one function that opens that socket; the lock pins the version for which it was written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from wsgiref.simple_server import WSGIServer, make_server

from feast import metrics
from feast.cli.cli import cli


def open_metrics_page(port: int, app: Callable[..., Iterable[bytes]]) -> WSGIServer:
    """Return a server of ``app`` on loopback; Feast's own ``port`` gives way to the configured one."""
    configured = int(os.environ.get("FEAST_METRICS_PORT", port))
    return make_server("127.0.0.1", configured, app, handler_class=metrics._QuietWSGIRequestHandler)


if __name__ == "__main__":
    if not callable(getattr(metrics, "_make_metrics_httpd", None)):
        raise SystemExit("feast.metrics no longer opens its page in _make_metrics_httpd; see feast_server.py")
    metrics._make_metrics_httpd = open_metrics_page
    cli()
