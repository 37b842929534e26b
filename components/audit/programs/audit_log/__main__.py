"""Writes the audit log until the process is ended: ``python -m audit_log``."""

from __future__ import annotations

import logging
import threading

from .folders import open_chain
from .server import Server
from .settings import Settings
from .watch import Watch


def main() -> None:
    """Open the log, and take events."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    settings = Settings.read()
    store = open_chain(settings.folder, settings.key)
    watch = Watch(settings, store)
    watch.start()
    ports = [settings.port, *([settings.gateway_port] if settings.gateway_port else [])]
    threads = [threading.Thread(target=Server(settings, store, watch, port).serve_forever) for port in ports]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
