"""`terrace models`, `promote`, and `rollback` against a registry, a deployer, and a model server on loopback."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from components.serving.programs.model_sync import history
from terrace import models
from terrace.cli.models import line
from terrace.errors import InputError, OperationError
from terrace.models import Models


@dataclass
class World:
    """What stands behind the gateway; the deployer does its work whenever the registry is asked for a model."""

    aliases: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=lambda: {n: {} for n in ("1", "2", "3")})
    broken: set[str] = field(default_factory=set)
    serving: int = 200
    registry: int = 200
    deployer: bool = True
    clock: int = 0

    def deploy(self) -> None:
        wanted = self.aliases.get("production")
        served = [move.version for move in history.read(self.tags)][-1:]
        if not self.deployer or wanted is None or served == [wanted]:
            return
        self.clock += 1
        if wanted in self.broken:
            self.versions[wanted] = {
                models.STATE_TAG: "failed",
                models.ERROR_TAG: "no such module",
                models.AT_TAG: str(self.clock),
            }
        else:
            self.tags[history.HISTORY_TAG] = history.write(history.moved(self.tags, wanted, str(self.clock)))
            self.versions[wanted] = {models.STATE_TAG: "ready"}

    def model(self) -> dict[str, Any]:
        aliases = [{"alias": alias, "version": version} for alias, version in self.aliases.items()]
        return {"name": "m", "aliases": aliases, "tags": _tags(self.tags)}

    def answer(self, method: str, path: str, given: dict[str, str]) -> tuple[int, Any]:
        if path.startswith("/serving/"):
            return self.serving, {}
        if self.registry != 200:
            return self.registry, {}
        match method, path.rpartition("/mlflow/")[2]:
            case "GET", "registered-models/search":
                page = {"registered_models": [self.model()], "next_page_token": "more"}
                return 200, {} if given.get("page_token") else page
            case "GET", "registered-models/get":
                self.deploy()
                return (200, {"registered_model": self.model()}) if given["name"] == "m" else (404, {})
            case "GET", "model-versions/get":
                tags = self.versions.get(given["version"])
                return (404, {}) if tags is None else (200, {"model_version": {"tags": _tags(tags)}})
            case "POST", "registered-models/alias":
                self.aliases[given["alias"]] = given["version"]
            case "DELETE", "registered-models/alias":
                del self.aliases[given["alias"]]
            case "POST", "registered-models/set-tag":
                self.tags[given["key"]] = given["value"]
        return 200, {}


def _tags(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(models, "POLL_SECONDS", 0.01)
    return World()


@pytest.fixture
def outputs(world: World) -> Iterator[dict[str, Any]]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do(self) -> None:
            address = urllib.parse.urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            given = json.loads(body) if body else dict(urllib.parse.parse_qsl(address.query))
            status, answer = world.answer(self.command, address.path, given)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        do_GET = do_POST = do_DELETE = do  # noqa: N815 - the base class calls them so

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    yield {
        "connection": {
            "MLFLOW_TRACKING_URI": f"{url}/mlflow",
            "SERVING_URL": f"{url}/serving/",
            "SERVING_ALIAS": "production",
            "SERVING_CANDIDATE_ALIAS": "candidate",
            "TERRACE_GATEWAY_USER": "terrace",
            "TERRACE_GATEWAY_PASSWORD": "secret-1",
        },
        "credentials": {"tracking": {"user": "admin", "password": "secret-2"}},
    }
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def platform(outputs: dict[str, Any]) -> Models:
    return Models("case", outputs)


def test_a_promotion_is_served_and_on_record(platform: Models, world: World) -> None:
    moved = platform.promote("m", "1", "ada")
    assert (moved.version, moved.previous) == ("1", None)
    again = platform.promote("m", "2", "bob")
    assert (again.version, again.previous) == ("2", "1")
    model = platform.get("m")
    assert [(move.version, move.previous, move.by, move.how) for move in model.history] == [
        ("1", None, "ada", "promote"),
        ("2", "1", "bob", "promote"),
    ]
    assert line(model) == "m: production 2; since 2 by bob (promote), before it 1"


def test_the_candidate_is_promoted_where_no_version_is_named_and_leaves_its_place(
    platform: Models, world: World
) -> None:
    world.aliases["candidate"] = "3"
    assert platform.promote("m", None, "ada").version == "3"
    assert world.aliases == {"production": "3"}


def test_another_candidate_stays_where_it_is(platform: Models, world: World) -> None:
    world.aliases["candidate"] = "3"
    platform.promote("m", "1", "ada")
    assert world.aliases == {"production": "1", "candidate": "3"}
    assert "candidate 3" in line(platform.get("m"))


def test_a_version_that_is_served_already_is_not_moved_again(platform: Models, world: World) -> None:
    platform.promote("m", "1", "ada")
    platform.promote("m", "1", "bob")
    assert len(platform.get("m").history) == 1


@pytest.mark.parametrize("before", [None, "1"])
def test_a_version_that_cannot_be_served_leaves_the_alias_where_it_was(
    platform: Models, world: World, before: str | None
) -> None:
    if before:
        platform.promote("m", before, "ada")
    world.broken.add("2")
    for _ in range(2):  # what it said the last time must not be taken for an answer
        with pytest.raises(OperationError, match="cannot be served\n  why: no such module"):
            platform.promote("m", "2", "bob")
        assert world.aliases.get("production") == before


def test_what_failed_once_may_work_the_next_time(platform: Models, world: World) -> None:
    world.broken.add("2")
    with pytest.raises(OperationError):
        platform.promote("m", "2", "ada")
    world.broken.clear()
    assert platform.promote("m", "2", "ada").version == "2"


def test_a_rollback_goes_back_and_stops_at_the_first(platform: Models, world: World) -> None:
    for version in ("1", "2", "3"):
        platform.promote("m", version, "ada")
    assert platform.rollback("m", "bob").version == "2"
    assert platform.rollback("m", "bob").version == "1"
    with pytest.raises(InputError, match="no version of m was in production before 1"):
        platform.rollback("m", "bob")
    assert platform.get("m").history[-1].how == "rollback"


def test_a_rollback_from_what_never_was_served_goes_back_to_what_is(platform: Models, world: World) -> None:
    platform.promote("m", "1", "ada")
    world.broken.add("2")
    world.aliases["production"] = "2"  # by hand
    assert "production 2, not served yet (served: 1)" in line(platform.get("m"))
    assert platform.rollback("m", "bob").version == "1"
    assert world.aliases["production"] == "1"


def test_a_version_that_is_gone_cannot_be_gone_back_to(platform: Models, world: World) -> None:
    platform.promote("m", "1", "ada")
    platform.promote("m", "2", "ada")
    del world.versions["1"]
    with pytest.raises(InputError, match="version 1, which was, is no longer registered"):
        platform.rollback("m", "bob")
    assert world.aliases["production"] == "2"


def test_a_deployer_that_does_nothing_is_said(platform: Models, world: World) -> None:
    platform.promote("m", "1", "ada")
    platform.promote("m", "2", "ada")
    world.deployer = False
    with pytest.raises(OperationError, match="not served yet"):
        platform.promote("m", "3", "ada", seconds=0.05)
    assert world.aliases["production"] == "2"
    with pytest.raises(OperationError, match="not served yet"):
        platform.rollback("m", "ada", seconds=0.05)
    assert world.aliases["production"] == "1", "the deployer finds it when it is back"


def test_nothing_is_moved_while_serving_is_down(platform: Models, world: World) -> None:
    platform.promote("m", "1", "ada")
    world.serving = 502
    with pytest.raises(OperationError, match="serving is down, so nothing was moved"):
        platform.promote("m", "2", "ada")
    assert world.aliases["production"] == "1"


@pytest.mark.parametrize(
    ("name", "version", "said"),
    [
        ("n", "1", "there is no model 'n'\n  fix: registered: m"),
        ("mm", "1", "did you mean 'm'"),
        ("m", "9", "m has no version '9'"),
        ("m", None, "m has no candidate"),
    ],
)
def test_what_there_is_not_is_refused(platform: Models, name: str, version: str | None, said: str) -> None:
    with pytest.raises(InputError) as caught:
        platform.promote(name, version, "ada")
    assert said in str(caught.value)


def test_a_model_that_is_not_in_production_says_so(platform: Models, world: World) -> None:
    assert [line(model) for model in platform.all()] == ["m: nothing in production"]


@pytest.mark.parametrize(
    ("lacking", "said"), [("SERVING_URL", "case serves no models"), ("MLFLOW_TRACKING_URI", "bring it up first")]
)
def test_a_platform_without_models_says_so(outputs: dict[str, Any], lacking: str, said: str) -> None:
    del outputs["connection"][lacking]
    with pytest.raises(InputError, match=said):
        Models("case", outputs)
    with pytest.raises(InputError, match="case isn't up"):
        Models("case", {})


def test_a_registry_that_refuses_or_is_away_is_named(platform: Models, outputs: dict[str, Any], world: World) -> None:
    world.registry = 403
    with pytest.raises(OperationError, match="the registry refused with 403"):
        platform.all()
    outputs["connection"]["MLFLOW_TRACKING_URI"] = "http://127.0.0.1:9"
    with pytest.raises(OperationError, match="no answer") as caught:
        Models("case", outputs).all()
    assert "secret" not in str(caught.value)
