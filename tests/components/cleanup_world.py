"""A played MLflow, and records of a cleanup, for the tests of the cleanup."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from components.tracking.programs.mlflow_cleanup.choice import DAY_SECONDS, Found, Holds, Kind
from components.tracking.programs.mlflow_cleanup.records import Records

LONG_AGO = time.time() - 60 * DAY_SECONDS
IDS = {letter: letter * 32 for letter in "abc"}


class Played:
    """MLflow, with deleted runs in experiment 4, of 100 bytes each."""

    def __init__(self, *letters: str) -> None:
        self.runs = {IDS[letter]: LONG_AGO for letter in letters}
        self.versions: dict[str, tuple[str, ...]] = {}
        self.experiments: dict[str, float] = {}
        self.restored: list[Found] = []
        self.refuses: set[str] = set()
        self.away = False
        self.before_removal: Any = lambda: None

    def found(self) -> list[Found]:
        runs = [
            Found("run", id_, "4", deleted, f"mlflow-artifacts:/4/{id_}/artifacts")
            for id_, deleted in self.runs.items()
        ]
        experiments = [
            Found("experiment", id_, id_, deleted, f"mlflow-artifacts:/{id_}")
            for id_, deleted in self.experiments.items()
        ]
        return [*runs, *experiments]

    def now(self, kind: Kind, id_: str) -> Found | None:
        return next((each for each in [*self.found(), *self.restored] if (each.kind, each.id) == (kind, id_)), None)

    def holds(self) -> Holds:
        if self.away:
            raise ConnectionError("the database is away")
        return Holds.of(self.versions, {"4": "mlflow-artifacts:/4"})

    def size(self, found: Found) -> int:
        return 100

    def remove(self, found: Found) -> None:
        self.before_removal()
        if found.id in self.refuses:
            raise OSError("the disk says no")
        del (self.experiments if found.kind == "experiment" else self.runs)[found.id]

    def restore(self) -> None:
        """Do what somebody does who restores all runs."""
        self.restored = [replace(each, deleted=None) for each in self.found() if each.kind == "run"]
        self.runs.clear()


def make_records(folder: Path) -> Records:
    """Make records of a cleanup that has seen all of it long ago."""
    found = Records(folder)
    found.keep_seen({f"run {id_}": LONG_AGO for id_ in IDS.values()} | {"experiment 4": LONG_AGO})
    return found


def told(records: Records) -> list[str]:
    return [each["object"] for each in records.untold()]
