"""Airflow's accounts: the people of the team with the rights of their roles, and the account of projects.

Airflow's simple auth manager gives the roles; who has an account, and which, comes from the same file of salted hashes
as for the service itself, and counts from the next request on. Airflow's own file of plain passwords isn't used.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from typing import Any

from airflow.api_fastapi.app import AUTH_MANAGER_FASTAPI_APP_PREFIX, get_cookie_path
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager, SimpleAuthManagerRole
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import is_safe_url
from airflow.configuration import conf
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse

from ..intake.people import People, mark
from ..intake.settings import Settings

# What each right is in Airflow. The account of projects is its administrator: it deletes what is no longer kept.
ROLES = {"read": "VIEWER", "use": "USER", "edit": "OP", "manage": "OP"}
OF_RUNS = frozenset({DagAccessEntity.RUN, DagAccessEntity.TASK, DagAccessEntity.TASK_INSTANCE})
REALM = {"WWW-Authenticate": 'Basic realm="pipelines", charset="UTF-8"'}


class PeopleAuthManager(SimpleAuthManager):  # type: ignore[misc]
    """Lets in whom the platform knows."""

    def init(self) -> None:
        """Read the accounts."""
        settings = Settings.from_environment(os.environ)
        self._account = settings.user
        self._expected = f"{settings.user}:{settings.password.get_secret_value()}".encode()
        self._people = People(settings.people)

    def get_url_login(self, **options: Any) -> str:
        """Return where a browser is asked for an account."""
        following = options.get("next_url")
        return f"{AUTH_MANAGER_FASTAPI_APP_PREFIX}/login" + (f"?next={following}" if following else "")

    def deserialize_user(self, token: dict[str, Any]) -> SimpleAuthManagerUser:
        """Return who a token was given to, with the rights of this moment.

        Raises:
            ValueError: There is no such account any more, or it has another password.
            KeyError: The token doesn't say for which password it was given.
        """
        user = self._user(token["sub"])
        if not hmac.compare_digest(token["password_mark"], self._mark(user)):
            raise ValueError(f"the account '{user.username}' has another password")
        return user

    def serialize_user(self, user: SimpleAuthManagerUser) -> dict[str, Any]:
        """Return what a token says: whose it is, and for which password it was given."""
        return {"sub": user.username, "password_mark": self._mark(user)}

    def is_authorized_dag(
        self, *, method: str, user: SimpleAuthManagerUser, access_entity: Any = None, details: Any = None
    ) -> bool:
        """Return whether ``user`` may do this: start and cancel runs with the right to use, more with that to edit."""
        of_runs = access_entity in OF_RUNS and method != "DELETE"
        role = SimpleAuthManagerRole.USER if of_runs else SimpleAuthManagerRole.OP
        return bool(
            self._is_authorized(method=method, allow_get_role=SimpleAuthManagerRole.VIEWER, allow_role=role, user=user)
        )

    def get_fastapi_app(self) -> FastAPI:
        """Return the pages that give tokens: to browsers as a cookie, to programs as an answer."""
        app = FastAPI(title="Accounts", docs_url=None, redoc_url=None, openapi_url=None)
        app.add_api_route("/login", self._login, methods=["GET"], response_model=None)
        app.add_api_route("/token", self._token, methods=["POST"], response_model=None)
        return app

    def _user(self, name: str) -> SimpleAuthManagerUser:
        if name == self._account:
            return SimpleAuthManagerUser(username=name, role="ADMIN")
        right = self._people.right_of(name)
        if right is None:
            raise ValueError(f"there is no account '{name}'")
        return SimpleAuthManagerUser(username=name, role=ROLES[right])

    def _mark(self, user: SimpleAuthManagerUser) -> str:
        return mark(self._expected) if user.username == self._account else self._people.mark_of(user.username)

    def _entered(self, given: bytes) -> SimpleAuthManagerUser:
        """Return whose ``name:password`` is given.

        Raises:
            HTTPException: Nobody's.
        """
        if hmac.compare_digest(given, self._expected):
            return self._user(self._account)
        if self._people.right(given) is None:
            raise HTTPException(401, "An account is needed", REALM)
        return self._user(given.decode(errors="replace").partition(":")[0])

    def _login(self, request: Request) -> Response:
        user = self._entered(_basic(request.headers.get("authorization", "")))
        following, own = request.query_params.get("next"), conf.get("api", "base_url")
        answer = RedirectResponse(following if following and is_safe_url(following, request=request) else own, 303)
        token = self.generate_jwt(user)
        answer.set_cookie(
            COOKIE_NAME_JWT_TOKEN, token, path=get_cookie_path(), secure=True, httponly=True, samesite="lax"
        )
        return answer

    async def _token(self, request: Request) -> Response:
        try:
            given = await request.json()
            account = f"{given['username']}:{given['password']}".encode()
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "Send JSON with 'username' and 'password'") from None
        return JSONResponse({"access_token": self.generate_jwt(self._entered(account))}, 201)


def _basic(header: str) -> bytes:
    scheme, _, encoded = header.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""
