"""Accounts at registries, as docker and podman keep them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from terrace.errors import InputError, OperationError
from terrace.images.credentials import Account, account_for

AUTH = base64.b64encode(b"ann:pa55:word").decode()
ANN = Account("ann", "pa55:word")


def kept(folder: Path, content: Any, name: str = ".docker/config.json") -> dict[str, str]:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return {"HOME": str(folder)}


def program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    file = folder / "docker-credential-tests"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.mark.parametrize(
    ("key", "host"),
    [
        ("registry.example.com:5000", "registry.example.com:5000"),
        ("https://registry.example.com/v1/", "registry.example.com"),
        ("registry.example.com/team", "registry.example.com"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("docker.io", "docker.io"),
    ],
)
def test_a_registry_is_found_however_it_is_written(tmp_path: Path, key: str, host: str) -> None:
    variables = kept(tmp_path, {"auths": {"other.example.com": {"auth": "eDp5"}, key: {"auth": AUTH}}})

    assert account_for(host, variables) == ANN
    assert account_for("third.example.com", variables) is None


def test_nobody_is_logged_in_where_there_is_no_file(tmp_path: Path) -> None:
    assert account_for("docker.io", {"HOME": str(tmp_path)}) is None
    assert account_for("docker.io", kept(tmp_path, {})) is None
    assert account_for("docker.io", kept(tmp_path, {"auths": {"docker.io": {}}})) is None


@pytest.mark.parametrize(
    ("variable", "value", "name"),
    [
        ("REGISTRY_AUTH_FILE", "mine.json", "mine.json"),
        ("DOCKER_CONFIG", "docker", "docker/config.json"),
        ("XDG_RUNTIME_DIR", "run", "run/containers/auth.json"),
        ("XDG_CONFIG_HOME", "config", "config/containers/auth.json"),
    ],
)
def test_files_are_found_where_their_programs_put_them(tmp_path: Path, variable: str, value: str, name: str) -> None:
    variables = kept(tmp_path, {"auths": {"docker.io": {"auth": AUTH}}}, name) | {variable: str(tmp_path / value)}

    assert account_for("docker.io", variables) == ANN


def test_a_token_is_told_from_a_password(tmp_path: Path) -> None:
    entry = {"auth": "MDA6", "identitytoken": "t0ken"}
    account = account_for("docker.io", kept(tmp_path, {"auths": {"docker.io": entry}}))

    assert account == Account("<token>", "t0ken")
    assert account.is_token
    assert not ANN.is_token


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": {"docker.io": {"auth": "pa55word"}}}', '{"auths": 3}'])
def test_a_file_that_is_not_right_is_said_without_its_content(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match="accounts of registries can't be read") as caught:
        account_for("docker.io", kept(tmp_path, content))

    assert "pa55word" not in str(caught.value)


def test_a_helper_is_asked_by_docker_hubs_own_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = '{"Username": "ann", "Secret": "pa55:word"}'
    program(tmp_path, monkeypatch, f"""[ "$(cat)" = https://index.docker.io/v1/ ] && echo '{answer}'""")

    assert account_for("docker.io", kept(tmp_path, {"credsStore": "tests"})) == ANN


def test_where_a_helper_knows_nobody_the_file_may(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "echo credentials not found in native keychain; exit 1")

    assert account_for("docker.io", kept(tmp_path, {"credsStore": "tests"})) is None
    assert (
        account_for("docker.io", kept(tmp_path, {"credsStore": "tests", "auths": {"docker.io": {"auth": AUTH}}})) == ANN
    )


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("echo s3cret; exit 3", "it ended with 3"),
        ("echo s3cret", "its answer is no account"),
        ('echo \'{"Username": "s3cret"}\'', "its answer is no account"),
    ],
)
def test_a_helper_that_fails_is_said_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, says: str
) -> None:
    program(tmp_path, monkeypatch, script)

    with pytest.raises(OperationError, match=says) as caught:
        account_for("docker.io", kept(tmp_path, {"credHelpers": {"docker.io": "tests"}}))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("name", ["absent", "../tests", "/bin/sh"])
def test_a_helper_is_a_program_on_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(OperationError, match=f"docker-credential-{name} isn't on PATH"):
        account_for("docker.io", kept(tmp_path, {"credsStore": name}))


def test_a_password_is_not_shown() -> None:
    assert "pa55" not in repr(ANN)
