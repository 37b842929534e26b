"""The folder from which MLServer loads, as the deployer of models writes it, and the deployer's settings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from components.serving.programs.model_sync.repository import Repository, folder_name
from components.serving.programs.model_sync.settings import Settings

FILES, ENVIRONMENT = Path("/artifacts/m/1/files"), Path("/environments/e")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "data" / "models")


def entry(tmp_path: Path, *path: str) -> dict[str, Any]:
    file = tmp_path.joinpath("data", "models", *path, "model-settings.json")
    contents: dict[str, Any] = json.loads(file.read_text())
    return contents


def entries(tmp_path: Path, model: str) -> list[str]:
    return sorted(folder.name for folder in (tmp_path / "data" / "models" / model).iterdir())


def test_the_default_entry_has_no_version_of_its_own(repository: Repository, tmp_path: Path) -> None:
    repository.write("m", "7", FILES, ENVIRONMENT, serve=True)
    assert entry(tmp_path, "m", "default") == {
        "name": "m",
        "implementation": "model_sync.runtime.RegistryRuntime",
        "parameters": {
            "uri": str(FILES),
            "environment_path": str(ENVIRONMENT),
            "extra": {"registry_version": "7"},
        },
    }
    assert repository.served("m") == "7"


def test_an_entry_of_a_version_is_not_served(repository: Repository, tmp_path: Path) -> None:
    repository.write("m", "7", FILES, ENVIRONMENT, serve=False)
    assert entry(tmp_path, "m", "7")["parameters"]["version"] == "7"
    assert repository.served("m") is None
    assert not list(tmp_path.rglob("partial"))


def test_the_default_moves_to_another_version(repository: Repository, tmp_path: Path) -> None:
    repository.write("m", "7", FILES, ENVIRONMENT, serve=True)
    repository.write("m", "8", FILES, ENVIRONMENT, serve=True)
    assert repository.served("m") == "8"
    assert entries(tmp_path, "m") == ["default"]


def test_only_the_kept_version_stays_beside_the_default(repository: Repository, tmp_path: Path) -> None:
    repository.write("m", "1", FILES, ENVIRONMENT, serve=True)
    for version in ("1", "2", "3"):
        repository.write("m", version, FILES, ENVIRONMENT, serve=False)
    repository.keep("m", "2")
    assert entries(tmp_path, "m") == ["2", "default"]


def test_a_snapshot_is_restored_as_it_was(repository: Repository, tmp_path: Path) -> None:
    repository.write("m", "1", FILES, ENVIRONMENT, serve=True)
    repository.write("m", "1", FILES, ENVIRONMENT, serve=False)
    before = repository.snapshot("m")
    repository.write("m", "2", FILES, ENVIRONMENT, serve=True)
    repository.write("m", "2", FILES, ENVIRONMENT, serve=False)
    repository.keep("m", "2")
    repository.restore("m", before)
    assert repository.snapshot("m") == before
    assert repository.served("m") == "1"
    assert entries(tmp_path, "m") == ["1", "default"]


def test_a_model_without_entries_is_restored_to_nothing(repository: Repository) -> None:
    before = repository.snapshot("m")
    assert before == {}
    repository.write("m", "1", FILES, ENVIRONMENT, serve=True)
    repository.restore("m", before)
    assert repository.names() == []


def test_removing_touches_only_its_model_and_works_twice(repository: Repository) -> None:
    repository.write("m", "1", FILES, ENVIRONMENT, serve=True)
    repository.write("n", "1", FILES, ENVIRONMENT, serve=True)
    repository.remove("m")
    repository.remove("m")
    assert repository.names() == ["n"]


@pytest.mark.parametrize("name", ["a b", "..", ".", "a/../../b", "münchen", "100%", "%2E", "a.b"])
def test_any_name_is_one_folder(repository: Repository, tmp_path: Path, name: str) -> None:
    repository.write(name, "1", FILES, ENVIRONMENT, serve=True)
    assert repository.names() == [name]
    assert repository.served(name) == "1"
    assert [folder.name for folder in (tmp_path / "data").iterdir()] == ["models"]
    assert not set("/.") & set(folder_name(name))


REQUIRED = {
    "MODEL_SYNC_DATA": "/data",
    "MODEL_SYNC_LOCK": "/config/requirements.txt",
    "MODEL_SYNC_OWNERS": "/config/owners.json",
    "MODEL_SYNC_PORT": "18083",
    "MLSERVER_URL": "http://127.0.0.1:18080/",
}


def test_settings_have_defaults() -> None:
    settings = Settings.read(REQUIRED)
    assert (settings.alias, settings.interval, settings.retry) == ("production", 5, 300)
    assert settings.trusted_types == frozenset()
    assert settings.mlserver == "http://127.0.0.1:18080"
    assert settings.port == 18083
    assert settings.lock == Path("/config/requirements.txt")
    assert settings.uv.name == "uv"
    folders = [settings.models, settings.artifacts, settings.environments]
    assert folders == [Path("/data/models"), Path("/data/artifacts"), Path("/data/environments")]


def test_settings_are_read() -> None:
    settings = Settings.read(
        {
            **REQUIRED,
            "MODEL_SYNC_ALIAS": "live",
            "MODEL_SYNC_INTERVAL": "0.5",
            "MODEL_SYNC_RETRY": "7",
            "MODEL_SYNC_TRUSTED_TYPES": "a.B,,c.D",
        }
    )
    assert (settings.alias, settings.interval, settings.retry) == ("live", 0.5, 7)
    assert settings.trusted_types == {"a.B", "c.D"}


@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_a_missing_setting_is_named(missing: str) -> None:
    with pytest.raises(KeyError, match=missing):
        Settings.read({name: value for name, value in REQUIRED.items() if name != missing})
