"""The pipelines service's configuration."""

from __future__ import annotations

import pytest

from components.pipelines.programs.intake.settings import Settings, SettingsError

REQUIRED = {"PIPELINES_PORT": "15090", "PIPELINES_DATA": "/data", "PIPELINES_USER": "u", "PIPELINES_PASSWORD": "p"}


def test_defaults_and_lists() -> None:
    settings = Settings.from_environment(
        {**REQUIRED, "PIPELINES_REQUIRED_STEPS": "validate, test", "PIPELINES_KEEP_RUNS": "3"}
    )
    assert (settings.address, settings.port, settings.keep_runs) == ("127.0.0.1", 15090, 3)
    assert settings.required_steps == ("validate", "test")
    assert settings.project_variables == {}


def test_only_what_concerns_uv_is_handed_to_uv() -> None:
    uv = {"UV_DEFAULT_INDEX": "https://index.example", "HTTPS_PROXY": "http://proxy.example", "no_proxy": "localhost"}
    settings = Settings.from_environment({**REQUIRED, **uv, "STORE_PASSWORD": "x", "MY_UV_X": "y"})
    assert settings.uv_variables == uv


@pytest.mark.parametrize(
    ("environment", "why"),
    [
        ({**REQUIRED, "PIPELINES_PORT": "0"}, "PIPELINES_PORT: "),
        ({**REQUIRED, "PIPELINES_PASSWORD": ""}, "PIPELINES_PASSWORD: Field required"),
        ({**REQUIRED, "PIPELINES_PROJECT_VARIABLES": "A,B", "A": "1"}, "variables that are not set: B"),
    ],
)
def test_what_is_wrong_is_named(environment: dict[str, str], why: str) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.from_environment(environment)
    assert why in str(error.value)


def test_secrets_are_those_of_secret_names_and_passwords_in_addresses() -> None:
    project = {
        "STORE_PASSWORD": "hunter22",
        "API_TOKEN": "tok",
        "STORE_URL": "https://store.example",
        "DB": "postgresql://me:p%40ss@localhost/db",
        "BROKEN": "http://[",
    }
    names = {"PIPELINES_PROJECT_VARIABLES": ",".join(project)}
    settings = Settings.from_environment({**REQUIRED, **project, **names})
    assert set(settings.secret_values()) == {b"hunter22", b"p%40ss", b"p@ss"}
    assert "hunter22" not in repr(settings)
