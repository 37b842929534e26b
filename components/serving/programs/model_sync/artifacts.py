"""The files of model versions: fetched once, their checksums kept, and refused where they would be unpickled."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from .errors import DeploymentError

CHECKSUMS = "checksums.json"
# How MLflow's flavors call formats whose loading runs code that the file brings along.
PICKLE_FORMATS = frozenset({"pickle", "cloudpickle", "joblib", "pickle2"})
PICKLE_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".cloudpickle", ".pth", ".dill"})


def fetch(folder: Path, download: Callable[[Path], None]) -> Path:
    """Return the folder with a version's files, downloaded into ``folder`` unless they are there already.

    Raises:
        DeploymentError: A file changed since it was downloaded.
    """
    record = folder / CHECKSUMS
    files = folder / "files"
    if not record.exists():
        shutil.rmtree(folder, ignore_errors=True)
        files.mkdir(parents=True)
        download(files)
        record.write_text(json.dumps(checksums(files), indent=1), encoding="utf-8")
    elif json.loads(record.read_text(encoding="utf-8")) != checksums(files):
        shutil.rmtree(folder)
        raise DeploymentError("the model's files changed on disk since they were downloaded; they are fetched anew")
    return files


def checksums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below ``folder``, by its relative path."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def describe(files: Path) -> Mapping[str, Any]:
    """Return the contents of the model's ``MLmodel`` file.

    Raises:
        DeploymentError: There is none, so it is not an MLflow model.
    """
    try:
        description = yaml.safe_load((files / "MLmodel").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise DeploymentError(f"the version has no readable MLmodel file: {error}") from error
    if not isinstance(description, dict) or "python_function" not in description.get("flavors", {}):
        raise DeploymentError("the version is no MLflow model with a Python function flavor")
    return description


def refuse_pickles(files: Path) -> None:
    """Make sure that loading the model unpickles nothing: a pickle runs whatever its author put into it.

    Raises:
        DeploymentError: The model is saved in such a format.
    """
    for flavor, options in describe(files)["flavors"].items():
        if str((options or {}).get("serialization_format", "")).lower() in PICKLE_FORMATS:
            raise DeploymentError(
                f"flavor {flavor} is saved as {options['serialization_format']}, which is refused because loading "
                "it runs code from the file; save it as skops, as the library's own format, or as code"
            )
    pickles = sorted(file.name for file in files.rglob("*") if file.suffix.lower() in PICKLE_SUFFIXES)
    if pickles:
        raise DeploymentError(
            f"the model has pickled files ({', '.join(pickles)}), which are refused because loading them runs code "
            "from the file; save it as skops, as the library's own format, or as code"
        )
