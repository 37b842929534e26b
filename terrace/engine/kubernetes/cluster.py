"""Talks to one API server: finds where a kind's objects are, and reads and writes them."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from urllib3.exceptions import HTTPError

from terrace.engine.kubernetes.connection import Connection
from terrace.engine.kubernetes.errors import ApiError, ClusterError, MissingKindError
from terrace.engine.kubernetes.kinds import Kind, kind_of
from terrace.engine.kubernetes.objects import Object, name, namespace

# Server-side apply is stable since then.
OLDEST = (1, 22)
APPLY = "application/apply-patch+yaml"
JSON_PATCH = "application/json-patch+json"
_TIMEOUT = (5, 60)  # seconds to connect, and to answer
_ATTEMPTS = 5


@dataclass(frozen=True)
class Endpoint:
    """Where a kind's objects are.

    Attributes:
        kind: The kind.
        plural: Its name in addresses, such as ``deployments``.
        namespaced: Whether its objects are in namespaces.
    """

    kind: Kind
    plural: str
    namespaced: bool


class Cluster:
    """One API server. Safe to use from several threads.

    Args:
        connection: The way to it.
    """

    def __init__(self, connection: Connection) -> None:
        self._api = connection.api
        self.server = connection.server
        self.namespace = connection.namespace
        self._endpoints: dict[str, dict[str, Endpoint]] = {}
        self._lock = threading.Lock()

    def require(self) -> None:
        """Make sure that it answers, accepts the credentials, and is new enough.

        Raises:
            ClusterError: It doesn't.
        """
        try:
            version = self.request("GET", "/version")
            self.request("GET", "/api/v1")
        except ApiError as error:
            fix = "log in anew, and check the context's user" if error.code in (401, 403) else None
            what = "the cluster refuses the credentials" if fix else "the cluster doesn't answer as one"
            raise ClusterError(what, where=self.server, why=error.message, fix=fix) from None
        numbers = tuple(int(re.sub(r"\D.*", "", str(version.get(part))) or 0) for part in ("major", "minor"))
        if numbers < OLDEST:
            raise ClusterError(
                f"the cluster runs Kubernetes {version.get('gitVersion')}, which is too old",
                where=self.server,
                why="server-side apply is stable since Kubernetes {}.{}".format(*OLDEST),
                fix="upgrade the cluster",
            )

    def knows(self, kind: Kind) -> bool:
        """Whether the server has this kind."""
        try:
            self.endpoint(kind)
        except MissingKindError:
            return False
        return True

    def endpoint(self, kind: Kind) -> Endpoint:
        """Where the kind's objects are.

        Raises:
            MissingKindError: The server doesn't know the kind.
        """
        with self._lock:
            found = self._endpoints.get(kind.api_version, {}).get(kind.name)
        if found is None:  # not asked yet, or installed since
            found = self._discover(kind).get(kind.name)
        if found is None:
            raise MissingKindError(f"kind {kind.name} of {kind.api_version}")
        return found

    def forget_kinds(self) -> None:
        """Ask anew which kinds there are; one was installed, changed, or removed."""
        with self._lock:
            self._endpoints.clear()

    def _discover(self, kind: Kind) -> dict[str, Endpoint]:
        try:
            listed = self.request("GET", _root(kind))
        except ApiError as error:
            if not error.is_missing:
                raise
            return {}
        found = {
            item["kind"]: Endpoint(Kind(kind.group, kind.version, item["kind"]), item["name"], item["namespaced"])
            for item in listed.get("resources") or []
            if "/" not in item["name"]
        }
        with self._lock:
            self._endpoints[kind.api_version] = found
        return found

    def get(self, obj: Object) -> Object:
        """The object as it is there now."""
        return self.request("GET", self._path(obj))

    def find(self, obj: Object) -> Object | None:
        """The object as it is there now; None if it isn't."""
        try:
            return self.get(obj)
        except ApiError as error:
            if not error.is_missing:
                raise
            return None

    def items(self, kind: Kind, place: str, *, labels: str = "", fields: str = "") -> list[Object]:
        """The objects of a kind in a namespace."""
        query = [("labelSelector", labels), ("fieldSelector", fields)]
        path = self._collection(self.endpoint(kind), place)
        found = self.request("GET", path, [pair for pair in query if pair[1]]).get("items") or []
        return [{"apiVersion": kind.api_version, "kind": kind.name, **item} for item in found]

    def create(self, obj: Object, manager: str, *, dry: bool = False) -> Object:
        """Create the object, which must not be there yet."""
        path = self._collection(self.endpoint(kind_of(obj["apiVersion"], obj["kind"])), namespace(obj))
        return self.request("POST", path, [("fieldManager", manager), *_dry(dry)], obj)

    def apply(self, obj: Object, manager: str, *, force: bool, dry: bool = False) -> Object:
        """Apply the object's fields as the manager's."""
        query = [("fieldManager", manager), ("force", "true" if force else "false"), *_dry(dry)]
        return self.request("PATCH", self._path(obj), query, obj, APPLY)

    def replace(self, obj: Object, manager: str, *, dry: bool = False) -> Object:
        """Put the object in place of the one with its resource version."""
        return self.request("PUT", self._path(obj), [("fieldManager", manager), *_dry(dry)], obj)

    def patch(self, obj: Object, operations: list[Any]) -> Object:
        """Change the object by JSON patch operations."""
        return self.request("PATCH", self._path(obj), [], operations, JSON_PATCH)

    def delete(self, obj: Object, propagation: str) -> None:
        """Have the object deleted; it may take its time."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        self.request("DELETE", self._path(obj), [], options)

    def logs(self, pod: Object, container: str, *, lines: int, previous: bool) -> str:
        """The last lines that a container wrote."""
        query = [("container", container), ("tailLines", str(lines)), ("previous", "true" if previous else "false")]
        return self._send("GET", f"{self._path(pod)}/log", query, None, "").decode(errors="replace")

    def request(
        self,
        method: str,
        path: str,
        query: Iterable[tuple[str, str]] = (),
        body: Any = None,
        content: str = "application/json",
    ) -> Object:
        """Send a request.

        Raises:
            ApiError: The server refused.
            ClusterError: It can't be reached.
        """
        answer: Object = json.loads(self._send(method, path, query, body, content) or b"{}")
        return answer

    def _send(self, method: str, path: str, query: Iterable[tuple[str, str]], body: Any, content: str) -> bytes:
        for attempt in range(_ATTEMPTS):
            code, phrase, wait, data = self._send_once(method, path, list(query), body, content)
            if code == 429 and attempt < _ATTEMPTS - 1:  # it has too much to do, and says when to come again
                time.sleep(min(wait, 10))
            elif code >= 300:
                raise ApiError.of(code, phrase, data)
            else:
                return data
        raise AssertionError("the last attempt ends the loop")

    def _send_once(
        self, method: str, path: str, query: list[tuple[str, str]], body: Any, content: str
    ) -> tuple[int, str, int, bytes]:
        headers = {"Accept": "application/json", **({"Content-Type": content} if body is not None else {})}
        sent = self._api.param_serialize(
            method, path, query_params=query, header_params=headers, auth_settings=["BearerToken"]
        )
        method, url, header_params, _, _ = sent
        try:
            response = self._api.call_api(method, url, header_params, body, _request_timeout=_TIMEOUT)
            data: bytes = response.read()
        except (HTTPError, OSError) as error:
            raise ClusterError(
                "the cluster can't be reached",
                where=self.server,
                why=_innermost(error),
                fix="check the address in the kubeconfig and the network",
            ) from None
        wait = response.getheader("Retry-After") or "1"
        return response.status, response.reason, int(wait) if wait.isdigit() else 1, data

    def _path(self, obj: Object) -> str:
        endpoint = self.endpoint(kind_of(obj["apiVersion"], obj["kind"]))
        return f"{self._collection(endpoint, namespace(obj))}/{quote(name(obj), safe='')}"

    def _collection(self, endpoint: Endpoint, place: str) -> str:
        inside = f"/namespaces/{quote(place or self.namespace, safe='')}" if endpoint.namespaced else ""
        return f"{_root(endpoint.kind)}{inside}/{endpoint.plural}"


def _root(kind: Kind) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def _dry(dry: bool) -> list[tuple[str, str]]:
    return [("dryRun", "All")] if dry else []


def _innermost(error: BaseException) -> str:
    """What really went wrong; the outer errors only say that it was tried again."""
    while (inner := getattr(error, "reason", None)) is not None and isinstance(inner, BaseException):
        error = inner
    return str(error).strip() or type(error).__name__
