"""Watches over the log: retention, and whether it is whole, at once when somebody else touched it; as metrics."""

from __future__ import annotations

import logging
import threading
import time

from .chain import key_name
from .folders import remove_old
from .settings import Settings
from .store import Store

logger = logging.getLogger(__name__)

LOOK_SECONDS = 10
PREFIX = "terrace_audit_"
METRICS = {
    "verified": "Whether the whole log was in order when it was last verified.",
    "verified_timestamp_seconds": "When it was last verified.",
    "writable": "Whether the last events that came could be written.",
}
LAST = "sequence"
SEEN = "source_seen_timestamp_seconds"


class Watch:
    """How the log is."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings, self._store = settings, store
        self._problems: list[str] | None = None
        self._verified = 0.0
        self.writable = True
        # What must be heard of; a source that never says anything shows by an old time.
        self._seen = {"gateway": time.time()}

    def heard(self, source: str) -> None:
        """Note that a source said something."""
        self._seen[source] = time.time()

    def run(self) -> None:
        """Watch until the process ends."""
        while True:
            self.look()
            time.sleep(LOOK_SECONDS)

    def look(self) -> None:
        """Verify the log if that's due, and remove what is too old."""
        try:
            since = time.time() - self._verified  # negative where the clock was set back
            if self._store.touched() or not 0 <= since < self._settings.verify_seconds:
                self._found(self._store.verify())
                if not self._problems:
                    self._store.retain(self._settings.retention_days)
                    remove_old(self._settings.folder, self._store.folder, self._settings.retention_days)
        except OSError as error:  # somebody removes its files, or the disk fails
            self._found([f"it can't be read: {error}"])

    def _found(self, problems: list[str]) -> None:
        if problems != self._problems:
            for problem in problems or ["the log is in order"]:
                logger.warning("%s", problem)
        self._problems, self._verified = problems, time.time()

    def page(self) -> str:
        """Return the metrics."""
        values = {"writable": float(self.writable)}
        if self._problems is not None:
            values |= {"verified": float(not self._problems), "verified_timestamp_seconds": self._verified}
        lines = [
            f"# HELP {PREFIX}{name} {METRICS[name]}\n# TYPE {PREFIX}{name} gauge\n{PREFIX}{name} {value}\n"
            for name, value in values.items()
        ]
        lines.append(f"# HELP {PREFIX}{LAST} The number of the last record, by the key of its chain.\n")
        key, last = key_name(self._settings.key), self._store.head.sequence
        lines.append(f'# TYPE {PREFIX}{LAST} gauge\n{PREFIX}{LAST}{{key="{key}"}} {last}\n')
        lines.append(f"# HELP {PREFIX}{SEEN} When a source last said something.\n# TYPE {PREFIX}{SEEN} gauge\n")
        lines += [f'{PREFIX}{SEEN}{{source="{source}"}} {when}\n' for source, when in self._seen.items()]
        return "".join(lines)

    def start(self) -> None:
        """Watch beside what else the process does."""
        threading.Thread(target=self.run, daemon=True).start()
