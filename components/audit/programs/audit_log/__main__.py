"""Writes the audit log until the process is ended: ``python -m audit_log``."""

from __future__ import annotations

import logging

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
    server = Server(settings, store, watch)
    watch.start()
    server.serve_forever()


if __name__ == "__main__":
    main()
