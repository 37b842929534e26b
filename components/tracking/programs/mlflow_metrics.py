"""Serve MLflow's metrics on a port of their own, on loopback or the address ``LISTEN``.

MLflow's ``/metrics`` asks for an account, which Prometheus would have to be given. The server's processes keep
their numbers in a folder (``--expose-prometheus``), so this program reads them there. Run it with MLflow's
environment: ``python mlflow_metrics.py <folder> <port> [<folder of the cleanup's records>]``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from threading import Event
from typing import Any

from mlflow_cleanup.page import Page
from mlflow_cleanup.records import Records
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector


def main(folder: Path, port: int, records: Path | None) -> None:
    """Serve until the process is told to end."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_stale(folder)
    registry = CollectorRegistry()
    collector: Any = MultiProcessCollector  # has no types
    collector(registry, path=str(folder))
    if records:
        registry.register(Page(Records(records)))
    start_http_server(port, addr=os.environ.get("LISTEN", "127.0.0.1"), registry=registry)
    Event().wait()


def remove_stale(folder: Path) -> None:
    """Remove the numbers of processes that have ended; their files are called ``<kind>_<pid>.db``."""
    for file in folder.glob("*_*.db"):
        if not Path("/proc", file.stem.rpartition("_")[2]).exists():
            file.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
