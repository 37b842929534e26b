"""Start the program: ``python -m drift_watch``."""

from __future__ import annotations

import logging
import signal
import threading
from functools import partial

import psycopg
import requests

from . import pages
from .intake import take
from .label_store import LabelStore
from .settings import Settings

LOG = logging.getLogger("drift_watch")


def main() -> None:
    """Look at every model again and again until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings.read()
    wanted, ended = threading.Event(), threading.Event()

    def end(*_: object) -> None:
        ended.set()
        wanted.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    settings.reports.mkdir(parents=True, exist_ok=True)
    pages.SHARE_LIMIT.set(settings.drift_share)
    pages.INTERVAL.set(settings.interval)
    store = LabelStore(settings) if settings.keeps else None
    pages.serve(settings.port, settings.reports, wanted, partial(take, store=store))

    from .watch import look  # Evidently takes long to load; the pages answer meanwhile

    while not ended.is_set():
        wanted.clear()
        try:
            look(settings)
        except (requests.RequestException, psycopg.Error) as error:
            LOG.warning("not everything could be looked at: %s", error)
        except Exception:
            LOG.exception("the look ended early")
        wanted.wait(settings.interval)


if __name__ == "__main__":
    main()
