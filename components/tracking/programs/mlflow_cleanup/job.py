"""Cleans once, by MLflow: ``python -m mlflow_cleanup.job``. It ends with 1 where it could not look.

What goes is removed by MLflow's own garbage collection: the function behind ``mlflow gc``, and not the command, since
that one takes what nobody named. ``mlflow gc --run-ids …`` removes every deleted experiment and logged model as well,
asks for no registered version, leaves on disk what an experiment's logged models and traces kept, and takes the
database's address, and so its password, as an argument. Seen of MLflow 3.17.2.

Artifacts are removed by the server, which is asked by the administrator's account, and before their rows: what is
killed half-way is still deleted for MLflow, and the next cleaning finishes it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from pathlib import Path
from typing import Any

from mlflow.cli import _gc_tracking_resources
from mlflow.entities.model_registry.model_version_stages import STAGE_DELETED_INTERNAL
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.model_registry.dbmodels.models import SqlModelVersion as Version
from mlflow.store.tracking.dbmodels.models import SqlExperiment as Experiment
from mlflow.store.tracking.dbmodels.models import SqlLoggedModel as Model
from mlflow.store.tracking.dbmodels.models import SqlRun as Run
from mlflow.tracking import _get_store

from .choice import SCHEME, Found, Holds, Kind
from .cleaning import clean
from .records import Records

DELETED = "deleted"
# Of each kind: its id, its experiment, its stage, when that was changed (milliseconds), and where its artifacts are.
COLUMNS: dict[Kind, tuple[Any, ...]] = {
    "experiment": (
        Experiment.experiment_id,
        Experiment.experiment_id,
        Experiment.lifecycle_stage,
        Experiment.last_update_time,
        Experiment.artifact_location,
    ),
    "run": (Run.run_uuid, Run.experiment_id, Run.lifecycle_stage, Run.deleted_time, Run.artifact_uri),
    "model": (
        Model.model_id,
        Model.experiment_id,
        Model.lifecycle_stage,
        Model.last_updated_timestamp_ms,
        Model.artifact_location,
    ),
}


class MLflow:
    """MLflow's database of runs and models, and its server's store.

    Args:
        url: The database.
        root: The store's folder.

    Raises:
        FileNotFoundError: The folder is away. MLflow calls artifacts removed that it doesn't find, and what lies on a
            disk that isn't mounted would be nobody's once it is.
    """

    def __init__(self, url: str, root: Path) -> None:
        if not root.is_dir():
            raise FileNotFoundError(f"the artifact store {root} isn't there; mount it, or run `terrace up`")
        self._store: Any = _get_store(url, f"{SCHEME}:/")
        self._root = root

    def found(self) -> list[Found]:
        """Return what is deleted, and what lies in experiments that are."""
        with self._store.ManagedSessionMaker() as session:
            gone = session.query(Experiment.experiment_id).filter(Experiment.lifecycle_stage == DELETED)
            return [
                _found(kind, *row)
                for kind, columns in COLUMNS.items()
                for row in session.query(*columns).filter(
                    (columns[2] == DELETED) | columns[1].in_(gone.scalar_subquery())
                )
            ]

    def now(self, kind: Kind, id_: str) -> Found | None:
        """Return something as it is now; None where it isn't there any more."""
        columns = COLUMNS[kind]
        with self._store.ManagedSessionMaker() as session:
            row = session.query(*columns).filter(columns[0] == (int(id_) if kind == "experiment" else id_)).first()
        return _found(kind, *row) if row else None

    def holds(self) -> Holds:
        """Return what must keep its artifacts."""
        columns = (Version.name, Version.version, Version.source, Version.storage_location, Version.run_id)
        with self._store.ManagedSessionMaker() as session:
            versions = session.query(*columns).filter(Version.current_stage != STAGE_DELETED_INTERNAL).all()
            experiments = session.query(Experiment.experiment_id, Experiment.artifact_location).all()
        return Holds.of(
            {f"{name} version {number}": texts for name, number, *texts in versions},
            {str(id_): location or "" for id_, location in experiments},
        )

    def size(self, found: Found) -> int:
        """Return how much its artifacts take (bytes)."""
        return sum(file.stat().st_size for file in (self._root / str(found.folder)).rglob("*") if file.is_file())

    def remove(self, found: Found) -> None:
        """Remove it for good.

        Raises:
            Exception: MLflow could not, or it isn't deleted any more.
        """
        if found.kind == "experiment":  # what its logged models and traces kept, which MLflow leaves
            get_artifact_repository(found.location).delete_artifacts()
        asked: dict[Kind, list[str]] = {kind: [found.id] if found.kind == kind else [] for kind in COLUMNS}
        with contextlib.redirect_stdout(sys.stderr):
            _gc_tracking_resources(
                self._store,
                run_ids=asked["run"],
                experiment_ids=asked["experiment"],
                logged_model_ids=asked["model"],
                older_than=None,
                time_delta=0,
                skip_experiments=found.kind != "experiment",  # an empty list of them would mean all
                skip_logged_models=found.kind != "model",
            )
        if found.kind != "experiment":
            with contextlib.suppress(OSError):  # it was never made, or holds something else
                (self._root / str(found.folder)).parent.rmdir()


def _found(kind: Kind, id_: Any, experiment: Any, stage: str, changed: int | None, location: str | None) -> Found:
    deleted = (changed or 0) / 1000 if stage == DELETED else None
    return Found(kind, str(id_), str(experiment), deleted, location or "")


def main() -> None:
    """Clean once."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    os.environ |= {
        "MLFLOW_TRACKING_URI": os.environ["CLEANUP_SERVER"],
        "MLFLOW_TRACKING_USERNAME": os.environ["CLEANUP_USER"],
        "MLFLOW_TRACKING_PASSWORD": os.environ["MLFLOW_AUTH_ADMIN_PASSWORD"],
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",  # of each; what fails is tried again in an hour
    }
    mlflow = MLflow(os.environ["MLFLOW_BACKEND_STORE_URI"], Path(os.environ["MLFLOW_ARTIFACTS_DESTINATION"]))
    clean(mlflow, Records(Path(os.environ["CLEANUP_RECORDS"])), int(os.environ["CLEANUP_KEEP_DAYS"]))


if __name__ == "__main__":
    main()
