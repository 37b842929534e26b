"""Resources and deployments as the checkpoint has them, and the order in which they go."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from terrace.engine.graph import Graph
from terrace.engine.normalize import drop_missing_references, in_order_of_needs, latest_of_each, resolve_aliases
from terrace.engine.secrets import Crypter
from terrace.engine.state import (
    Deployment,
    Resource,
    is_default_provider,
    make_urn,
    name_of,
    qualified_type,
    type_of,
)
from terrace.engine.values import Secret
from tests.engine.engine_world import World

ROOT = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"


def _resource(name: str, type_: str = "pulumi-python:dynamic:Resource", **fields: Any) -> Resource:
    parent = fields.get("parent", "")
    return Resource(urn=make_urn("dev", "p", parent, type_, name), type=type_, custom=True, **fields)


def test_urns() -> None:
    group = make_urn("dev", "p", ROOT, "test:index:Group", "g")
    child = make_urn("dev", "p", group, "a:b:C", "name::with::colons")
    assert group == "urn:pulumi:dev::p::test:index:Group::g"
    assert child == "urn:pulumi:dev::p::test:index:Group$a:b:C::name::with::colons"
    assert (type_of(child), name_of(child)) == ("a:b:C", "name::with::colons")
    assert qualified_type("no urn") == ""
    assert _resource("x").name == "x"


@pytest.mark.parametrize(
    ("type_", "name", "is_default"),
    [
        ("pulumi:providers:aws", "default", True),
        ("pulumi:providers:aws", "default_6_0_0", True),
        ("pulumi:providers:aws", "mine", False),
        ("a:b:C", "default", False),
    ],
)
def test_default_providers(type_: str, name: str, is_default: bool) -> None:
    assert is_default_provider(make_urn("dev", "p", "", type_, name)) is is_default


def test_what_this_engine_does_not_know_is_kept(crypter: Crypter) -> None:
    raw = {
        "urn": "urn:a",
        "type": "a:b:C",
        "custom": True,
        "inputs": {"a": 1},
        "refreshBeforeUpdate": True,
        "taint": True,
    }
    assert Resource.from_json(raw, crypter).to_json(crypter) == raw
    latest = {"resources": [raw], "something": {"new": 1}}
    stored = Deployment.from_json(latest, crypter).to_json(crypter, "v3")
    assert stored["something"] == {"new": 1}
    assert stored["resources"] == [raw]
    assert stored["secrets_providers"] == {"type": "passphrase", "state": {"salt": crypter.salt}}


def test_operations_in_flight_are_stored(crypter: Crypter) -> None:
    pending = [("creating", _resource("x", inputs={"a": Secret("y")}))]
    stored = Deployment(pending=pending).to_json(crypter, "v3")
    assert "resources" not in stored
    (found,) = Deployment.from_json(stored, crypter).pending
    assert (found[0], found[1].urn, found[1].inputs["a"].value) == ("creating", pending[0][1].urn, "y")


def test_a_state_that_is_out_of_order() -> None:
    first, second = _resource("first"), _resource("second")
    second.dependencies = [first.urn]
    assert Deployment([first, second]).problem() == ""
    assert Deployment([second, first]).problem() == f"{second.urn} needs {first.urn}, which isn't before it"
    assert in_order_of_needs([second, first]) == [first, second]
    assert in_order_of_needs([first, second]) == [first, second]


def test_what_only_now_needs_each_other_is_put_in_order() -> None:
    chain = [_resource(str(number)) for number in range(2000)]
    for resource, needed in itertools.pairwise(chain):
        resource.dependencies = [needed.urn]
    assert in_order_of_needs(chain) == list(reversed(chain))
    round_ = [_resource("x"), _resource("y")]
    round_[0].dependencies, round_[1].dependencies = [round_[1].urn], [round_[0].urn]
    assert sorted(in_order_of_needs(round_), key=lambda item: item.urn) == round_, "damage, but no endless loop"


def test_of_what_stands_for_the_same_the_last_is_kept() -> None:
    stale, replaced, other, latest = _resource("x"), _resource("x", delete=True), _resource("y"), _resource("x")
    assert latest_of_each([stale, replaced, other, latest]) == [replaced, other, latest]


def test_a_name_that_stands_twice() -> None:
    assert Deployment([_resource("x"), _resource("x")]).problem() == f"{_resource('x').urn} stands in it twice"
    assert Deployment([_resource("x"), _resource("x", delete=True)]).problem() == ""
    assert Deployment([_resource("x", delete=True), _resource("x")]).problem() == ""


def test_names_change_everywhere() -> None:
    old = make_urn("dev", "p", "", "a:b:Group", "old")
    group = _resource("new", "a:b:Group", aliases=[old])
    child = _resource("child", parent=old)
    provider = _resource("mine", "pulumi:providers:pulumi-python", aliases=["urn:provider"])
    user = _resource(
        "user",
        dependencies=[child.urn],
        property_dependencies={"a": [old]},
        deleted_with=child.urn,
        provider="urn:provider::id",
    )
    root = _resource("p-dev", "pulumi:pulumi:Stack", aliases=["urn:root"])
    under_root = _resource("under-root", parent="urn:root")
    found = resolve_aliases([root, group, child, provider, user, under_root])
    new_child = make_urn("dev", "p", group.urn, child.type, "child")
    assert [item.urn for item in found[1:3]] == [group.urn, new_child]
    assert found[2].parent == group.urn
    assert (found[4].dependencies, found[4].deleted_with) == ([new_child], new_child)
    assert (found[4].property_dependencies, found[4].provider) == ({"a": [group.urn]}, f"{provider.urn}::id")
    assert (found[5].parent, found[5].urn) == (root.urn, under_root.urn)
    assert not any(item.aliases for item in found)


def test_references_to_what_vanished_are_dropped() -> None:
    top = _resource("top")
    kept = _resource("kept", parent=top.urn)
    orphan = _resource("orphan", parent="urn:gone")
    gone = make_urn("dev", "p", "", "a:b:C", "gone")
    user = _resource(
        "user",
        parent=top.urn,
        dependencies=[gone, kept.urn],
        property_dependencies={"a": [gone], "b": [kept.urn, gone]},
        deleted_with=gone,
    )
    found = drop_missing_references([top, kept, orphan, user])
    assert (found[2].parent, found[3].parent) == ("", top.urn)
    assert (found[3].dependencies, found[3].deleted_with) == ([kept.urn], "")
    assert found[3].property_dependencies == {"b": [kept.urn]}


def test_deletions_go_the_other_way_round_and_together_where_they_can() -> None:
    group = _resource("group", "a:b:Group")
    group.custom = False
    part = _resource("part", parent=group.urn)
    nested = _resource("nested", parent=part.urn)
    user = _resource("user", dependencies=[group.urn])
    alone = _resource("alone")
    graph = Graph([group, part, nested, user, alone])
    rounds = [
        sorted(item.name for item in round_) for round_ in graph.deletion_rounds([group, part, nested, user, alone])
    ]
    assert rounds == [["user"], ["nested"], ["part"], ["alone", "group"]]
    assert graph.needs(user) == {group, part, nested}  # who needs a component needs its parts
    assert graph.all_needs(nested) == {part, group}


def test_dependents_follow_through_others_but_not_to_children() -> None:
    root = _resource("root")
    child = _resource("child", parent=root.urn)
    user = _resource("user", property_dependencies={"a": [root.urn]})
    users_user = _resource("users-user", dependencies=[user.urn])
    seen = _resource("seen", dependencies=[root.urn])
    graph = Graph([root, child, user, users_user, seen])
    assert graph.dependents(root, {seen.urn}) == [user, users_user]
    assert _resource("other") not in graph


def test_a_parent_that_vanished_leaves_its_children(world: World) -> None:
    world.write('b = Thing("b", value=1)\nThing("c", Options(parent=b), value=b.made)\npulumi.export("b", b.id)')
    assert world.run("up", 1).ok
    (world.root / "things/b.json").unlink()
    result = world.run("refresh", 1)
    assert result.ok
    assert result.summary == {"same": 2, "delete": 1}
    (child,) = [raw for raw in world.state() if raw.get("id") == "c"]
    assert not {"parent", "dependencies"} & set(child)
    again = world.run("up", 1)
    assert again.ok
    assert world.things() == ["b", "c"]
    assert world.run("up", 1).summary == {"same": 3}
