"""Outputs of other stacks, and lookups of this program's own resources."""

from __future__ import annotations

import pytest

from tests.engine.engine_cases import Do
from tests.engine.engine_world import World


@pytest.fixture
def references(world: World) -> World:
    referring = World(world.root, "references")
    assert referring.embedded(Do("up", 1, stack="other"))["ok"]
    return referring


@pytest.mark.parametrize("name", ["other", "organization/other", "organization/parity/other"])
def test_a_stack_is_found_by_each_of_its_names(references: World, name: str) -> None:
    references.write(f"pulumi.export('made', pulumi.StackReference('{name}').get_output('made'))")
    result = references.run("up", 1)
    assert result.outputs == {"made": "made of 1.0"}
    assert result.summary == {"create": 1}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("nowhere", "unknown stack 'nowhere'"),
        ("organization/elsewhere/dev", "unknown stack"),
        ("acme/parity/other", "'acme/parity/other' is no stack of this backend"),
        ("a/b/c/d", "is no stack of this backend"),
    ],
)
def test_a_stack_that_is_not_there_is_named(references: World, name: str, why: str) -> None:
    references.write(f"pulumi.StackReference('{name}')")
    result = references.run("up", 1)
    assert not result.ok
    assert why in result.errors[0].message


def test_secrets_of_the_other_stack_stay_secret(references: World) -> None:
    result = references.run("up", 1)
    assert result.outputs["password"] == "[secret]"
    assert references.stack().outputs(show_secrets=True)["password"] == "hunter22"
    assert "hunter22" not in references.checkpoint.read_text(encoding="utf-8")


def test_secrets_that_another_passphrase_keeps_are_an_error(references: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "another one")
    result = references.run("up", 1)
    assert "the passphrase is wrong" in result.errors[0].message
    assert str(references.checkpoint_of("other")) in result.errors[0].message


def test_functions_of_the_package_pulumi(references: World) -> None:
    references.write(
        """
        thing = Thing("a", value=1)
        found = thing.urn.apply(lambda urn: pulumi.runtime.invoke("pulumi:pulumi:getResource", {"urn": urn}).value)
        pulumi.export("id", found.apply(lambda found: found and found["id"]))
        outputs = pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", {"name": "other"}).value
        pulumi.export("made", outputs["outputs"]["made"])
        """
    )
    assert references.run("up", 1).outputs == {"id": "a", "made": "made of 1.0"}


def test_a_resource_that_the_program_does_not_have(references: World) -> None:
    references.write("pulumi.runtime.invoke('pulumi:pulumi:getResource', {'urn': 'urn:pulumi:x::y::z::w'})")
    result = references.run("up", 1)
    assert "urn:pulumi:x::y::z::w: unknown resource" in result.errors[0].message
