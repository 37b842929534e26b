"""Serving until asked to end."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

import uvicorn

from .api import application
from .engine import Engine
from .service import Service
from .settings import Settings, SettingsError
from .store import DataInUse, Store

# How long requests that are being answered may still take once the service is asked to end (seconds).
REQUESTS_SECONDS = 3


def serve(engine: Callable[[Service], Engine]) -> int:
    """Serve pipelines that ``engine`` runs until SIGTERM, and return the exit code."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Each job that fires would be a line; runs have records of their own.
    logging.getLogger("apscheduler").setLevel(logging.WARNING)
    try:
        settings = Settings.from_environment(os.environ)
        store = Store(settings.data)
    except (SettingsError, DataInUse) as error:
        logging.getLogger("pipelines").critical("can't start: %s", error)
        return 2
    uvicorn.run(
        application(settings, store, engine),
        host=settings.address,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=REQUESTS_SECONDS,
    )
    return 0
