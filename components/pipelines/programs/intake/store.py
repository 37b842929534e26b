"""The service's records as files: pipelines and runs, each written whole or not at all.

Layout of the data folder::

    pipelines/<name>.json      what was sent last
    bundles/<digest>/          unpacked bundles (see bundles.py)
    runs/<id>/run.json         a run's record
    runs/<id>/<nn>-<step>.log  its logs; prepare.log is that of its environment
    runs/<id>/work/            PIPELINE_RUN_DIR of its steps
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from ..contract.records import PipelineRecord, Run, Trigger

logger = logging.getLogger(__name__)

RecordT = TypeVar("RecordT", bound=BaseModel)
PREPARE = "prepare"


class DataInUse(Exception):
    """Another instance of the service works on the same data folder."""


class Store:
    """All records, in memory and on disk.

    Args:
        root: The data folder; made when absent.

    Raises:
        DataInUse: Another process has it open.
    """

    def __init__(self, root: Path) -> None:
        self._pipelines = root / "pipelines"
        self._runs = root / "runs"
        for folder in (self._pipelines, self._runs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(root / "lock")
        self.pipelines = _load(self._pipelines.glob("*.json"), PipelineRecord, lambda record: record.name)
        self.runs = _load(self._runs.glob("*/run.json"), Run, lambda run: run.id)

    def close(self) -> None:
        """Let another instance open the folder."""
        os.close(self._lock)

    def save_pipeline(self, record: PipelineRecord) -> None:
        """Keep ``record``."""
        self.pipelines[record.name] = record
        write_record(self._pipelines / f"{record.name}.json", record)

    def save_run(self, run: Run) -> None:
        """Keep ``run``; its folder is made when absent."""
        self.work_folder(run.id).mkdir(parents=True, exist_ok=True, mode=0o700)
        write_record(self._runs / run.id / "run.json", run)
        self.runs[run.id] = run

    def runs_of(self, pipeline: str | None = None) -> list[Run]:
        """Return the runs (of ``pipeline``), the newest first."""
        runs = [run for run in self.runs.values() if pipeline in (None, run.pipeline)]
        return sorted(runs, key=lambda run: run.created, reverse=True)

    def last_ended(self, pipeline: str, trigger: Trigger | None = None) -> Run | None:
        """Return the newest run of ``pipeline`` (that ``trigger`` began) that has ended."""
        runs = (run for run in self.runs_of(pipeline) if run.ended and trigger in (None, run.trigger))
        return next(runs, None)

    def work_folder(self, run_id: str) -> Path:
        """Return the folder that the run's steps may use."""
        return self._runs / run_id / "work"

    def log_path(self, run: Run, step: str | None) -> Path:
        """Return the log of ``step``; without one, that of preparing the environment.

        Raises:
            KeyError: The run has no such step.
        """
        return self._runs / run.id / log_name([each.name for each in run.steps], step)

    def old_runs(self, pipeline: str, keep: int) -> list[str]:
        """Return all but the newest ``keep`` ended runs of ``pipeline``, by their ids."""
        return [run.id for run in self.runs_of(pipeline) if run.ended][keep:]

    def delete_runs(self, run_ids: Iterable[str]) -> None:
        """Remove these runs with their files."""
        for run_id in run_ids:
            del self.runs[run_id]
            shutil.rmtree(self._runs / run_id, ignore_errors=True)

    def delete_pipeline(self, name: str) -> None:
        """Remove the pipeline and its runs."""
        (self._pipelines / f"{name}.json").unlink(missing_ok=True)
        del self.pipelines[name]
        self.delete_runs([run.id for run in self.runs_of(name)])


def log_name(steps: Sequence[str], step: str | None) -> str:
    """Return the name of the log of ``step``, one of ``steps``; without one, that of preparing the environment.

    Raises:
        KeyError: There is no such step.
    """
    if step is None:
        return f"{PREPARE}.log"
    if step not in steps:
        raise KeyError(step)
    return f"{steps.index(step) + 1:02}-{step}.log"


def write_record(path: Path, record: BaseModel) -> None:
    """Keep ``record`` at ``path``, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        file.write(record.model_dump_json(indent=1).encode())
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _lock(path: Path) -> int:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise DataInUse(f"another instance of the service works on {path.parent}") from None
    return handle


def _load(paths: Iterable[Path], kind: type[RecordT], key: Callable[[RecordT], str]) -> dict[str, RecordT]:
    records = {}
    for path in paths:
        try:
            record = kind.model_validate_json(path.read_bytes())
        except ValidationError as error:
            # One damaged record must not keep all the others from being served.
            logger.warning("%s can't be read and is left aside: %s", path, error)
            continue
        records[key(record)] = record
    return records
