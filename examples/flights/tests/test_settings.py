"""Settings are checked as a whole, and the error names all that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from flights.errors import SettingsError
from flights.settings import Configuration, FeatureDatabase, Gateway, require

PROJECT = Path(__file__).parents[1]
GATEWAY = {
    "TERRACE_GATEWAY_URL": "https://platform.test/",
    "TERRACE_GATEWAY_USER": "me",
    "TERRACE_GATEWAY_PASSWORD": "secret",
    "TERRACE_CA_FILE": "/ca.pem",
}
DATABASE = {"HOST": "h", "PORT": "5432", "DATABASE": "d", "USER": "u", "PASSWORD": "p"}


def write(folder: Path, change: dict[str, Any], without: tuple[str, ...] = ()) -> Path:
    content = {**yaml.safe_load((PROJECT / "configuration.yaml").read_text()), **change}
    path = folder / "configuration.yaml"
    path.write_text(yaml.safe_dump({key: value for key, value in content.items() if key not in without}))
    return path


def test_the_projects_configuration_loads() -> None:
    configuration = Configuration.load(PROJECT / "configuration.yaml")
    assert configuration.split["test_from"] == "2013-07"
    assert len(configuration.search) == 5


def test_an_unknown_key_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"configuration\.yaml: missing or unknown: sead\n") as caught:
        Configuration.load(write(tmp_path, {"sead": 1}))
    assert caught.value.exit_code == 2


def test_unknown_and_missing_keys_are_named_together(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="missing or unknown: gate, gates, seed\n"):
        Configuration.load(write(tmp_path, {"gates": {}}, without=("gate", "seed")))


@pytest.mark.parametrize("section", ["gate", "split"])
def test_an_unknown_key_within_a_section_is_refused(tmp_path: Path, section: str) -> None:
    with pytest.raises(SettingsError, match=rf"configuration\.yaml: {section}: missing or unknown: .*minimum_acu"):
        Configuration.load(write(tmp_path, {section: {"minimum_acu": 0.7}}))


def test_a_section_that_is_not_a_mapping_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"configuration\.yaml: gate: is not a mapping"):
        Configuration.load(write(tmp_path, {"gate": 0.7}))


@pytest.mark.parametrize("text", ["- a list", "", "{not: [closed"])
def test_a_file_that_is_not_a_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "configuration.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=str(path)):
        Configuration.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        Configuration.load(tmp_path / "configuration.yaml")


def test_one_error_names_all_missing_variables_empty_ones_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERRACE_GATEWAY_USER", "me")
    monkeypatch.setenv("TERRACE_CA_FILE", "")
    with pytest.raises(SettingsError) as caught:
        Gateway.from_environment()
    expected = "environment: TERRACE_GATEWAY_URL, TERRACE_GATEWAY_PASSWORD, TERRACE_CA_FILE not set"
    assert str(caught.value).splitlines()[0] == expected
    assert caught.value.exit_code == 2


def test_require_gives_the_values_in_the_order_of_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_REMOTE_B", "2")
    monkeypatch.setenv("DVC_REMOTE_A", "1")
    assert list(require(("DVC_REMOTE_B", "DVC_REMOTE_A")).items()) == [("DVC_REMOTE_B", "2"), ("DVC_REMOTE_A", "1")]


def test_the_gateway_reads_its_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GATEWAY.items():
        monkeypatch.setenv(name, value)
    assert Gateway.from_environment() == Gateway("https://platform.test", "me", "secret", "/ca.pem")


def test_the_feature_database_has_a_project_by_default_and_refuses_a_port_of_letters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in DATABASE.items():
        monkeypatch.setenv(f"FEATURE_STORE_{name}", value)
    assert FeatureDatabase.from_environment() == FeatureDatabase("h", 5432, "d", "u", "p", "terrace")
    monkeypatch.setenv("FEATURE_STORE_PORT", "http")
    with pytest.raises(SettingsError, match="FEATURE_STORE_PORT: not a port number"):
        FeatureDatabase.from_environment()
