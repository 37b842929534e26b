"""A timer whose work is done again after a failure. Feast arms its next look at the registry only after a good one."""

from __future__ import annotations

import threading


class PatientTimer(threading.Timer):
    """Does its work once, as `threading.Timer` does; after an exception it waits again and does it again."""

    def run(self) -> None:
        """Wait, work, and begin anew where that failed, until it succeeds or the timer is cancelled."""
        while not self.finished.wait(self.interval):
            try:
                self.function(*self.args, **self.kwargs)
            except Exception as error:  # whatever it was: the database may be away, and comes back
                print(f"a look at the registry failed, the next is in {self.interval} s: {error!r}", flush=True)
            else:
                self.finished.set()
