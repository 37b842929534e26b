"""Start the program: ``python -m model_sync``."""

from __future__ import annotations

import logging
import signal
import threading
from concurrent.futures import ThreadPoolExecutor

from . import page
from .environments import Builds
from .example import example_request
from .registry import Registry
from .server import Server
from .settings import Settings
from .sync import Sync
from .trail import Trail

# The longest that one look may take: libraries installed, and the model loaded a few times.
SILENCE_SECONDS = 3600


def main() -> None:
    """Look at the registry again and again until told to end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # `sync` says what is wrong, once
    settings = Settings.read()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    signal.signal(signal.SIGINT, lambda *_: ended.set())
    health = page.Health()
    page.serve(settings.port, health, SILENCE_SECONDS)
    registry = Registry(settings.alias, settings.candidate)
    builds = Builds(settings, ThreadPoolExecutor(1))
    sync = Sync(settings, registry, Server(settings.mlserver), builds, health, example_request)
    trail = Trail(settings.audit, settings.data / "told.json", settings.audit_token)
    while not ended.is_set():
        try:
            sync.look()
            trail.tell(registry.histories())
        except Exception:
            # One model's trouble must not end the deployment of all others; the next look starts afresh.
            logging.exception("the look at the registry ended early")
        ended.wait(settings.interval)


if __name__ == "__main__":
    main()
