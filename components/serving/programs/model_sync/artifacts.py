"""The files of model versions: fetched once, their checksums kept, and refused where loading them would run code."""

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
LOADER = "mlflow.sklearn"
FORMAT = "skops"
FUNCTION_KEYS = frozenset({"env", "loader_module", "model_path", "predict_fn", "python_version", "code"})
SKLEARN_KEYS = frozenset({"code", "pickled_model", "serialization_format", "skops_trusted_types", "sklearn_version"})


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


def flavors(files: Path) -> Mapping[str, Any]:
    """Return the flavors that the model's ``MLmodel`` file describes, ``python_function`` among them.

    Raises:
        DeploymentError: There are none, so it is not an MLflow model.
    """
    try:
        description = yaml.safe_load((files / "MLmodel").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DeploymentError(f"the version has no readable MLmodel file: {error}") from error
    found = description.get("flavors") if isinstance(description, dict) else None
    if not isinstance(found, dict) or not isinstance(found.get("python_function"), dict):
        raise DeploymentError("the version is no MLflow model with a Python function flavor")
    return found


def review(files: Path, trusted_types: frozenset[str]) -> None:
    """Make sure that loading the model runs no code that the model brings along.

    MLflow itself can't tell: a model in the skops format names the types to trust itself. So the platform's own list
    decides, and every other way to load a model is refused.

    Args:
        files: The version's files.
        trusted_types: The types, beyond those that skops trusts itself, that a model may hold.

    Raises:
        DeploymentError: It is saved in another format, or holds a type that is not trusted.
    """
    described = flavors(files)
    function, sklearn = described["python_function"], described.get("sklearn")
    if not isinstance(sklearn, dict):
        sklearn = {}
    if function.get("loader_module") != LOADER or sklearn.get("serialization_format") != FORMAT:
        raise DeploymentError(
            f"the model is to be loaded by {function.get('loader_module')} from the format "
            f"{sklearn.get('serialization_format')}, which is refused because loading it may run code from the file; "
            f'save it by mlflow.sklearn.log_model(…, serialization_format="{FORMAT}")'
        )
    if function.get("code") or sklearn.get("code"):
        raise DeploymentError("the model brings code of its own along, which is refused")
    # What MLflow reads besides might lead it elsewhere: `data`, say, to another description in a subfolder.
    unknown = sorted((function.keys() - FUNCTION_KEYS) | (sklearn.keys() - SKLEARN_KEYS))
    model_file = function.get("model_path")
    if unknown or model_file != sklearn.get("pickled_model") or not _is_plain_name(model_file):
        raise DeploymentError(
            f"mlflow.sklearn.log_model writes no such description of a model: {', '.join(unknown) or model_file}"
        )
    unknown = sorted({str(each) for each in sklearn.get("skops_trusted_types") or ()} - trusted_types)
    if unknown:
        raise DeploymentError(
            f"the model holds types that nobody has reviewed: {', '.join(unknown)}; where they are harmless to load, "
            "add them to serving.trusted_types in the stack file"
        )


def _is_plain_name(name: object) -> bool:
    return isinstance(name, str) and Path(name).name == name and name not in ("", ".", "..")
