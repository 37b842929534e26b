"""The deployer of models makes one Python environment for each set of locked libraries."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from components.serving.programs.model_sync import environments
from components.serving.programs.model_sync.environments import ensure, merged, requirements
from components.serving.programs.model_sync.errors import DeploymentError
from components.serving.programs.model_sync.settings import Settings
from tests.components.model_sync_world import settings

LOCKED = "skops==0.13 --hash=sha256:cc"


@pytest.fixture
def here(tmp_path: Path) -> Settings:
    return settings(tmp_path)


def asked(here: Settings) -> list[str]:
    """Return what the installer was asked, a line for each call."""
    log = here.uv.with_name("uv.log")
    return log.read_text().splitlines() if log.exists() else []


def test_requirements_are_read_by_name_with_their_hashes() -> None:
    text = """
# a comment
Scikit_Learn==1.9 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via the model
skops[io, x] >= 0.13, < 1 # why
numpy==2.4.6 ; python_full_version < '3.12'
numpy==2.5.5 ; python_full_version >= '3.12'
mlflow
"""
    assert requirements(text) == {
        "scikit-learn": "Scikit_Learn==1.9  --hash=sha256:aa  --hash=sha256:bb",
        "skops": "skops[io, x] >= 0.13, < 1",
        "numpy": "numpy==2.4.6 ; python_full_version < '3.12'\nnumpy==2.5.5 ; python_full_version >= '3.12'",
        "mlflow": "mlflow",
    }


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url https://evil.example/",
        "-e .",
        "skops @ https://evil.example/skops.whl",
        "skops@https:/evil.example/skops.whl",
        "git+https://evil.example/skops",
        "https:/evil.example/skops.whl",
        "./skops-1-py3-none-any.whl",
        "/srv/data/artifacts/m/1/files/skops-1-py3-none-any.whl",
        "skops@file:skops.whl",
        "skops==${VERSION}",
        "skops==1 --config-settings x",
        "skops==1 --hash=sha256:aa --index-url=x",
        "--hash=sha256:aa",
    ],
)
def test_options_addresses_and_paths_are_refused(line: str) -> None:
    with pytest.raises(DeploymentError, match="may name packages only"):
        requirements(f"numpy==2\n{line}\n")


def test_a_model_takes_what_it_leaves_open_from_the_server() -> None:
    text = merged("NumPy==1\nskops==2", "numpy==9\nmlserver==1.7.1\nuv==0.9")
    assert sorted(text.splitlines()) == ["NumPy==1", "mlserver==1.7.1", "skops==2"]


def test_an_environment_is_built_once(here: Settings) -> None:
    folder = ensure(here, LOCKED)
    assert (folder / "complete").exists()
    assert folder.parent == here.environments
    venv, install = asked(here)
    assert venv.startswith("venv --quiet --clear --python ")
    assert venv.endswith(str(folder))
    assert install.startswith("pip install --quiet --no-build ")
    assert f"--python {folder}/bin/python " in install
    installed = here.uv.with_name("uv.requirements").read_text()
    assert sorted(installed.splitlines()) == [
        "mlserver==1.7.1 --hash=sha256:aa",
        "numpy==2.4.6 --hash=sha256:bb",
        LOCKED,
    ]
    assert ensure(here, LOCKED) == folder
    assert len(asked(here)) == 2


def test_other_libraries_or_another_python_are_another_environment(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ensure(here, LOCKED)
    second = ensure(here, "skops==0.14 --hash=sha256:dd")
    here.lock.write_text("mlserver==1.8\n")
    third = ensure(here, LOCKED)
    monkeypatch.setattr(environments.sys, "version", "4.0")
    fourth = ensure(here, LOCKED)
    assert len({first, second, third, fourth}) == 4


@pytest.mark.parametrize(("listing", "required"), [(LOCKED, True), (f"{LOCKED}\nother==1", False)])
def test_hashes_are_required_where_the_model_has_them_all(here: Settings, listing: str, required: bool) -> None:
    ensure(here, listing)
    assert ("--require-hashes" in asked(here)[1]) is required


def test_an_environment_that_failed_is_built_again(here: Settings) -> None:
    fails = here.uv.with_name("uv.fails")
    fails.touch()
    with pytest.raises(DeploymentError, match="cannot be installed beside MLServer's: no solution found") as caught:
        ensure(here, LOCKED)
    assert "pa55" not in str(caught.value)
    with pytest.raises(DeploymentError):
        ensure(here, LOCKED)
    assert len(asked(here)) == 4
    fails.unlink()
    assert (ensure(here, LOCKED) / "complete").exists()


def test_a_missing_installer_is_said(here: Settings) -> None:
    with pytest.raises(DeploymentError, match=r"cannot be installed: .*No such file"):
        ensure(dataclasses.replace(here, uv=Path("/nonexistent/uv")), LOCKED)


def test_an_installer_that_does_not_end_is_ended(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    here.uv.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(environments, "INSTALL_SECONDS", 0.1)
    with pytest.raises(DeploymentError, match=r"cannot be installed: .*timed out"):
        ensure(here, LOCKED)


def test_the_installer_gets_proxies_and_no_secrets(here: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_CACHE_DIR", raising=False)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "pa55")
    monkeypatch.setenv("MY_HTTPS_PROXY_PASSWORD", "pa55")
    monkeypatch.setenv("PYTHONPATH", "/config")
    monkeypatch.setenv("https_proxy", "http://proxy.example")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://index.example")
    monkeypatch.setenv("UV_NO_CONFIG", "0")
    ensure(here, LOCKED)
    lines = here.uv.with_name("uv.env").read_text().splitlines()
    assert "pa55" not in "\n".join(lines)
    assert not any(line.startswith("PYTHONPATH=") for line in lines)
    assert {
        "https_proxy=http://proxy.example",
        "UV_DEFAULT_INDEX=http://index.example",
        "UV_NO_CONFIG=1",
        "UV_PYTHON_DOWNLOADS=never",
        f"UV_CACHE_DIR={here.data / 'cache'}",
    } <= set(lines)
