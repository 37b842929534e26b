"""The deployer of models refuses files that run code when they are loaded, and notices changed ones."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from components.serving.programs.model_sync.artifacts import checksums, fetch, review
from components.serving.programs.model_sync.errors import DeploymentError
from tests.components.model_sync_world import SKOPS, save_model

TRUSTED = frozenset({"functools.partial"})


def changed(flavor: str, **values: Any) -> dict[str, Any]:
    model = copy.deepcopy(SKOPS)
    model["flavors"][flavor].update(values)
    return model


def test_a_skops_model_of_trusted_types_is_let_through(tmp_path: Path) -> None:
    save_model(tmp_path)
    review(tmp_path, TRUSTED)


def test_a_skops_model_that_needs_no_trust_is_let_through(tmp_path: Path) -> None:
    save_model(tmp_path, changed("sklearn", skops_trusted_types=None))
    review(tmp_path, frozenset())


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (changed("python_function", loader_module="mlflow.pyfunc.model"), "loaded by mlflow.pyfunc.model"),
        (changed("python_function", loader_module=None), "loaded by None"),
        (changed("sklearn", serialization_format="cloudpickle"), "format cloudpickle, which is refused"),
        ({"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}}}, "format None, which is refused"),
        ({"flavors": {**SKOPS["flavors"], "sklearn": "skops"}}, "format None, which is refused"),
        (changed("python_function", code="code"), "brings code of its own"),
        (changed("sklearn", code="code"), "brings code of its own"),
        (changed("python_function", data="elsewhere"), "no such description of a model: data"),
        (changed("python_function", model_path="elsewhere/model.skops"), "no such description"),
        (changed("python_function", model_path="other.skops"), "no such description"),
        (changed("sklearn", pickled_model="other.pkl"), "no such description"),
        (
            changed("sklearn", skops_trusted_types=["os.system", "functools.partial", 7]),
            "nobody has reviewed: 7, os.system; .*serving.trusted_types",
        ),
    ],
)
def test_a_model_that_may_run_code_is_refused(tmp_path: Path, model: dict[str, Any], reason: str) -> None:
    save_model(tmp_path, model)
    with pytest.raises(DeploymentError, match=reason):
        review(tmp_path, TRUSTED)


@pytest.mark.parametrize(
    "model",
    [[], "text", None, {}, {"flavors": None}, {"flavors": ["python_function"]}, {"flavors": {"python_function": None}}],
)
def test_what_is_no_mlflow_model_is_refused(tmp_path: Path, model: Any) -> None:
    save_model(tmp_path, model)
    with pytest.raises(DeploymentError, match="no MLflow model"):
        review(tmp_path, TRUSTED)


@pytest.mark.parametrize("content", [None, b"flavors: [", b"\xff\xfe\x00"])
def test_an_unreadable_description_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "MLmodel").write_bytes(content)
    with pytest.raises(DeploymentError, match="no readable MLmodel file"):
        review(tmp_path, TRUSTED)


def test_a_description_makes_no_objects(tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    (tmp_path / "MLmodel").write_text(f"flavors: !!python/object/apply:os.mkdir ['{proof}']")
    with pytest.raises(DeploymentError, match="no readable MLmodel file"):
        review(tmp_path, TRUSTED)
    assert not proof.exists()


class Source:
    """A registry that counts its downloads and may break off."""

    def __init__(self) -> None:
        self.downloads = 0
        self.breaks_off = False

    def __call__(self, folder: Path) -> None:
        self.downloads += 1
        (folder / "deep").mkdir()
        (folder / "MLmodel").write_text("model")
        if self.breaks_off:
            raise DeploymentError("broken off")
        (folder / "deep" / "model.skops").write_bytes(b"weights")


def test_files_are_downloaded_once(tmp_path: Path) -> None:
    source = Source()
    files = fetch(tmp_path / "1", source)
    assert fetch(tmp_path / "1", source) == files
    assert source.downloads == 1
    assert (files / "deep" / "model.skops").read_bytes() == b"weights"


def test_a_download_that_broke_off_starts_afresh(tmp_path: Path) -> None:
    source = Source()
    source.breaks_off = True
    with pytest.raises(DeploymentError, match="broken off"):
        fetch(tmp_path / "1", source)
    (tmp_path / "1" / "files" / "remains").touch()
    source.breaks_off = False
    files = fetch(tmp_path / "1", source)
    assert set(checksums(files)) == {"MLmodel", "deep/model.skops"}


@pytest.mark.parametrize("change", ["changed", "added", "removed"])
def test_files_that_changed_are_refused_and_then_fetched_anew(tmp_path: Path, change: str) -> None:
    source = Source()
    files = fetch(tmp_path / "1", source)
    if change == "changed":
        (files / "deep" / "model.skops").write_bytes(b"other")
    elif change == "added":
        (files / "extra.py").touch()
    else:
        (files / "MLmodel").unlink()
    with pytest.raises(DeploymentError, match="changed on disk"):
        fetch(tmp_path / "1", source)
    files = fetch(tmp_path / "1", source)
    assert source.downloads == 2
    assert set(checksums(files)) == {"MLmodel", "deep/model.skops"}
    assert (files / "deep" / "model.skops").read_bytes() == b"weights"


def test_an_error_keeps_no_account() -> None:
    error = DeploymentError("  get http://me:pa55@host/a and https://you@host/ failed\n")
    assert str(error) == "get http://host/a and https://host/ failed"
