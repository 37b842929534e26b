"""Run Feast's command line with its metrics on loopback or the address ``LISTEN``, at ``FEAST_METRICS_PORT``.

Feast 0.67 has no option for either: ``feast serve --metrics`` listens on every interface at port 8000. This
replaces the one function that opens that socket, and the timer that looks at the registry again, which ended for good
when the database was away once; the lock pins the version for which it was written.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from wsgiref.simple_server import WSGIServer, make_server

from feast import feature_server, metrics
from feast.cli.cli import cli
from patient_timer import PatientTimer  # type: ignore[import-not-found]  # it lies beside this file when it runs


def open_metrics_page(port: int, app: Callable[..., Iterable[bytes]]) -> WSGIServer:
    """Return a server of ``app``; Feast's own ``port`` gives way to the configured one."""
    configured = int(os.environ.get("FEAST_METRICS_PORT", port))
    address = os.environ.get("LISTEN", "127.0.0.1")
    return make_server(address, configured, app, handler_class=metrics._QuietWSGIRequestHandler)


if __name__ == "__main__":
    if not callable(getattr(metrics, "_make_metrics_httpd", None)):
        raise SystemExit("feast.metrics no longer opens its page in _make_metrics_httpd; see feast_server.py")
    metrics._make_metrics_httpd = open_metrics_page
    if not hasattr(feature_server, "threading"):
        raise SystemExit("feast.feature_server no longer looks at the registry by a timer; see feast_server.py")
    feature_server.threading = SimpleNamespace(**{**vars(threading), "Timer": PatientTimer})
    cli()
