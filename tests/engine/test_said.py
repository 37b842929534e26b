"""No message says a secret, however it came into it."""

from __future__ import annotations

import pytest

from terrace.engine import Event
from tests.engine.engine_world import World

ROTATED = """
from pulumi.dynamic import CreateResult, DiffResult, ResourceProvider

class Door(ResourceProvider):
    def create(self, props):
        return CreateResult("door", {**props})

    def diff(self, identifier, olds, news):
        self.refuse("diff", olds, news)
        return DiffResult(changes=olds["password"] != news["password"])

    def update(self, identifier, olds, news):
        self.refuse("update", olds, news)

    def refuse(self, where, olds, news):
        if where == "WHERE" and olds["password"] != news["password"]:
            raise RuntimeError("cannot open it with " + olds["password"])

Custom("door", Door(), password=pulumi.Output.secret(f"the-pass-word-{stage}"))
"""
KEY = """
from pulumi.dynamic import CreateResult, ResourceProvider

class Door(ResourceProvider):
    def create(self, props):
        print(props["key"])
        print(repr(props["key"]))
        return CreateResult("door", {**props})

Custom("door", Door(), key=pulumi.Output.secret("-----BEGIN KEY-----\\nMIIsecretbody\\n-----END KEY-----"))
"""


@pytest.mark.parametrize("where", ["diff", "update"])
def test_what_the_secret_was_before(world: World, where: str) -> None:
    world.write(ROTATED.replace("WHERE", where))
    assert world.run("up", 1).ok
    events: list[Event] = []
    result = world.run("up", 2, on_event=events.append)
    assert "cannot open it with [secret]" in str(result.errors)
    assert "the-pass-word" not in f"{events} {result}"


def test_a_secret_of_several_lines(world: World) -> None:
    world.write(KEY)
    events: list[Event] = []
    assert world.run("up", 1, on_event=events.append).ok
    assert "[secret]" in str(events)
    assert "MIIsecretbody" not in str(events)


def test_a_secret_inside_of_a_configured_object(world: World) -> None:
    world.write('pulumi.log.info("the key is " + pulumi.Config().require_object("secrets")["key"])')
    events: list[Event] = []
    assert world.run("up", 1, on_event=events.append).ok
    assert "the key is [secret]" in str(events)


def test_the_password_of_a_backend_that_is_not_supported(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "postgres://user:topsecret@host/db")
    with pytest.raises(Exception, match="not in postgres") as caught:
        world.run("up", 1)
    assert "topsecret" not in str(caught.value)


LISTED = """
pulumi.export("listed", pulumi.Output.secret({"kind": "service", "name": "timer"}))
Thing("timer", value=stage, fail=["update"])
"""


def test_words_in_a_secret_output_are_not_taken_for_secrets(world: World) -> None:
    world.write(LISTED.replace('["update"]', "[]"))
    assert world.run("up", 1).ok
    world.write(LISTED.replace("fail", "note='timer service', fail"))
    result = world.run("up", 2)
    assert not result.ok
    assert "[secret]" not in str(result.errors)
