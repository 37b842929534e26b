"""What a token of Airflow's counts for. Airflow itself is played; tests/host/test_airflow.py asks a real one."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse

PACKAGE = "components.pipelines.programs.airflow_intake"
AUTH = "airflow.api_fastapi.auth.managers"


async def resolved(token: str | None) -> Any:
    """Return whose token it is: Ann's, if she has any."""
    if token != "anns":
        raise HTTPException(401)
    return SimpleNamespace(username="ann")


PLAYED = {
    "airflow.api_fastapi.app": {},
    f"{AUTH}.base_auth_manager": {"COOKIE_NAME_JWT_TOKEN": "_token"},
    f"{AUTH}.models.resource_details": {},
    f"{AUTH}.simple.simple_auth_manager": {"SimpleAuthManager": object},
    f"{AUTH}.simple.user": {"SimpleAuthManagerUser": SimpleNamespace},
    "airflow.api_fastapi.core_api.security": {"resolve_user_from_token": resolved},
    "airflow.configuration": {},
    "fastapi": {"HTTPException": HTTPException, "Request": Request},
    "fastapi.responses": {},
}


class Manager:
    """The auth manager with one person, Ann."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._people = folder / "people.json"
        self.give("first")
        self._monkeypatch = monkeypatch
        for name, content in PLAYED.items():
            monkeypatch.setitem(sys.modules, name, MagicMock(**content))
        monkeypatch.delitem(sys.modules, f"{PACKAGE}.accounts", raising=False)
        self._module = importlib.import_module(f"{PACKAGE}.accounts")
        # What was imported on played modules is nobody else's.
        monkeypatch.setitem(sys.modules, f"{PACKAGE}.accounts", self._module)
        settings = {"PORT": "1", "DATA": str(folder), "USER": "pipelines", "PEOPLE": str(self._people)}
        for name, value in settings.items():
            monkeypatch.setenv(f"PIPELINES_{name}", value)
        self.begin("of-projects")

    def give(self, password: str) -> None:
        """Give Ann this password."""
        digest = hashlib.sha256(f"salt:{password}".encode()).hexdigest()
        account = {"name": "ann", "salt": "salt", "digest": digest, "right": "use"}
        newer = self._people.with_suffix(".new")
        newer.write_text(json.dumps([account]))
        newer.replace(self._people)

    def begin(self, password: str) -> None:
        """Start Airflow's API server, with this password of projects."""
        self._monkeypatch.setenv("PIPELINES_PASSWORD", password)
        self.airflow: Any = self._module.PeopleAuthManager()
        self.airflow.init()

    def named(self, **headers: str) -> str | None:
        """Return whose account an answer to a request with ``headers`` names."""
        sent: list[Any] = []

        async def collect(message: Any) -> None:
            sent.append(message)

        given = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        ((middleware, options),) = self.airflow.get_fastapi_middlewares()
        asked = {"type": "http", "method": "GET", "path": "/", "headers": given}
        asyncio.run(middleware(PlainTextResponse("pages"), **options)(asked, None, collect))
        found: dict[bytes, bytes] = dict(sent[0]["headers"])
        name = found.get(b"terrace-account")
        return name.decode() if name else None

    def token(self, name: str) -> dict[str, Any]:
        """Return what a token that ``name`` is given says."""
        said: dict[str, Any] = self.airflow.serialize_user(SimpleNamespace(username=name))
        return json.loads(json.dumps(said)) | {"exp": 1}


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Manager:
    return Manager(tmp_path, monkeypatch)


def test_a_token_counts_until_there_is_another_password(manager: Manager) -> None:
    token = manager.token("ann")
    user = manager.airflow.deserialize_user(token)
    assert (user.username, user.role) == ("ann", "USER")
    manager.give("second")
    with pytest.raises(ValueError, match="the account 'ann' has another password"):
        manager.airflow.deserialize_user(token)
    assert manager.airflow.deserialize_user(manager.token("ann")).username == "ann"


def test_the_token_of_projects_goes_with_their_password(manager: Manager) -> None:
    token = manager.token("pipelines")
    manager.begin("of-projects")
    assert manager.airflow.deserialize_user(token).role == "ADMIN"
    manager.begin("another")
    with pytest.raises(ValueError, match="another password"):
        manager.airflow.deserialize_user(token)


def test_a_token_for_nobody_or_no_password_counts_for_nothing(manager: Manager) -> None:
    for token, error in (({"sub": "bob", "password_mark": ""}, ValueError), ({"sub": "ann"}, KeyError)):
        with pytest.raises(error):
            manager.airflow.deserialize_user(token)


def test_answers_name_the_account_whose_token_counts(manager: Manager) -> None:
    through = {"x_forwarded_prefix": "/airflow"}
    assert manager.named(cookie="_token=anns", **through) == "ann"
    assert manager.named(authorization="Bearer anns", cookie="_token=old", **through) == "ann"
    assert manager.named(authorization="Bearer old", cookie="_token=anns", **through) is None, "Airflow refuses that"
    for loose in ("Bearer  anns", "bearer anns ", "Bearer", "Bearer "):
        assert manager.named(authorization=loose, cookie="_token=anns", **through) == "ann", "as Airflow reads it"
    assert manager.named(authorization="Basic YW5uOng=", **through) is None, "nobody has looked at the password"
    assert manager.named(**through) is None
    assert manager.named(cookie="_token=anns") is None, "what doesn't come through the gateway needs no name"
