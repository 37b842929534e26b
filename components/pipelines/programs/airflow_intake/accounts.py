"""Airflow's accounts: the people of the team with the rights of their roles, and the account of projects.

Airflow's simple auth manager gives the roles; who has an account, and which, comes from the same file of salted hashes
as for the service itself, and counts from the next request on. Airflow's own file of plain passwords isn't used.

Each answer says to the gateway whose account asked, so that what people do on Airflow's pages is in the audit log, too.
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
from airflow.api_fastapi.core_api.security import is_safe_url, resolve_user_from_token
from airflow.configuration import conf
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse, RedirectResponse
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..intake.people import People, mark
from ..intake.settings import Settings

# What each right is in Airflow. The account of projects is its administrator: it deletes what is no longer kept.
ROLES = {"read": "VIEWER", "use": "USER", "edit": "OP", "manage": "OP"}
OF_RUNS = frozenset({DagAccessEntity.RUN, DagAccessEntity.TASK, DagAccessEntity.TASK_INSTANCE})
# The gateway's header, and the one that it keeps from clients.
FORWARDED, ACCOUNT_HEADER = "X-Forwarded-Prefix", "Terrace-Account"
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

    def get_fastapi_middlewares(self) -> list[tuple[Any, dict[str, Any]]]:
        """Return what has each answer say whose account asked."""
        return [(NamesAccount, {})]

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
        name = given.decode(errors="replace").partition(":")[0]
        if self._people.right(given) is None:
            tried = name if name.isascii() and name.isprintable() else "unknown"
            raise HTTPException(401, "An account is needed", REALM | {ACCOUNT_HEADER: tried})
        return self._user(name)

    def _login(self, request: Request) -> Response:
        user = self._entered(_basic(request.headers.get("authorization", "")))
        following, own = request.query_params.get("next"), conf.get("api", "base_url")
        answer = RedirectResponse(following if following and is_safe_url(following, request=request) else own, 303)
        token = self.generate_jwt(user)
        answer.set_cookie(
            COOKIE_NAME_JWT_TOKEN, token, path=get_cookie_path(), secure=True, httponly=True, samesite="lax"
        )
        answer.headers[ACCOUNT_HEADER] = user.username
        return answer

    async def _token(self, request: Request) -> Response:
        try:
            given = await request.json()
            account = f"{given['username']}:{given['password']}".encode()
        except (ValueError, KeyError, TypeError):
            raise HTTPException(400, "Send JSON with 'username' and 'password'") from None
        user = self._entered(account)
        return JSONResponse({"access_token": self.generate_jwt(user)}, 201, {ACCOUNT_HEADER: user.username})


class NamesAccount:
    """Adds to each answer for the gateway the account whose token came with its request, where one did that counts.

    Args:
        app: Answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        name = await _name(Request(scope)) if scope["type"] == "http" else ""

        async def send_named(message: Message) -> None:
            if name and message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault(ACCOUNT_HEADER, name)
            await send(message)

        await self._app(scope, receive, send_named)


async def _name(request: Request) -> str:
    """Return whose token Airflow lets count: the one that is given to it, before the one of the browser.

    Nobody's of what Airflow's own processes and the service ask, which don't come through the gateway.
    """
    if FORWARDED not in request.headers:
        return ""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    given = given.strip() if scheme.lower() == "bearer" else ""
    token = given or request.cookies.get(COOKIE_NAME_JWT_TOKEN)
    try:
        return str((await resolve_user_from_token(token)).username)
    except HTTPException:  # none, or none that counts
        return ""


def _basic(header: str) -> bytes:
    scheme, _, encoded = header.partition(" ")
    try:
        return base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        return b""
