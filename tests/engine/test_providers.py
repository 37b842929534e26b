"""Providers beyond dynamic resources: their interface, configurations, half-done work, and imports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pulumi
import pytest

from terrace.engine import Options, Project, Result, Stack
from tests.engine.engine_world import PASSPHRASE, World
from tests.engine.shelf import TYPE, Book, ShelfProvider, Shelves

Run = Callable[..., Result]
UP = Options(parallel=4)


@pytest.fixture
def shelves() -> Shelves:
    return Shelves()


@pytest.fixture
def stack(world: World, shelves: Shelves) -> Callable[[Callable[[], None]], Stack]:
    world.set_stage(1)

    def make(program: Callable[[], None]) -> Stack:
        return Stack(
            Project.load(world.root),
            "dev",
            passphrase=lambda: PASSPHRASE,
            program=program,
            packages={"test": shelves.open},
        )

    return make


Make = Callable[[Callable[[], None]], Stack]


def _urn(name: str) -> str:
    return f"urn:pulumi:dev::parity::{TYPE}::{name}"


def test_a_book_through_its_life(stack: Make, shelves: Shelves) -> None:
    def program(**inputs: Any) -> Callable[[], None]:
        def body() -> None:
            pulumi.export("pages", Book("book", **inputs).pages)

        return body

    assert stack(program(title="One")).up().outputs == {"pages": 100}
    assert shelves.books == {"default": {"One": {"title": "One", "pages": 100}}}
    assert stack(program(title="One")).up().summary == {"same": 2}
    assert stack(program(title="One", pages=7)).up().summary == {"same": 1, "update": 1}
    replaced = stack(program(title="Two")).up()
    assert replaced.summary == {"same": 1, "replace": 1}
    assert shelves.books == {"default": {"Two": {"title": "Two", "pages": 100}}}  # the default, not what was before
    assert [step.unverified for step in replaced.steps] == [False] * 4
    shelves.books["default"]["Two"]["pages"] = 8.0
    assert stack(program(title="Two")).refresh().summary == {"same": 1, "update": 1}
    assert stack(program(title="Two")).destroy().ok
    assert shelves.books == {"default": {}}


def test_a_refused_input_is_told_before_anything_is_made(stack: Make, shelves: Shelves) -> None:
    def program() -> None:
        Book("good", title="One")
        Book("bad")

    result = stack(program).up()

    assert [(error.urn, error.message) for error in result.errors] == [
        (_urn("bad"), "its inputs are wrong\n  why: title: a book needs one")
    ]
    assert shelves.books == {"default": {}}


def test_each_provider_resource_has_its_own_configuration(stack: Make, shelves: Shelves) -> None:
    def program(upper: str) -> Callable[[], None]:
        def body() -> None:
            shelf = ShelfProvider("upper", upper)
            Book("first", pulumi.ResourceOptions(provider=shelf), title="One")
            Book("second", title="Two")

        return body

    assert stack(program("oak")).up().ok
    assert {name: sorted(books) for name, books in shelves.books.items()} == {"oak": ["One"], "default": ["Two"]}
    assert stack(program("oak")).destroy().ok
    assert shelves.books == {"oak": {}, "default": {}}


@pytest.mark.parametrize("method", ["create", "update"])
def test_what_was_done_half_is_kept_and_repaired_or_removed(stack: Make, shelves: Shelves, method: str) -> None:
    def program(pages: int) -> Callable[[], None]:
        return lambda: Book("book", title="One", pages=pages) and None

    if method == "update":
        assert stack(program(1)).up().ok
    shelves.fail.add(method)
    failed = stack(program(2)).up()
    assert [error.urn for error in failed.errors] == [_urn("book")]
    assert "is missing" in failed.errors[0].message
    assert [item.id for item in stack(program(2)).resources() if item.type == TYPE] == ["One"]
    again = stack(program(2)).preview()
    assert again.summary == {"same": 1, "update": 1}

    shelves.fail.clear()
    assert stack(program(2)).up().summary == {"same": 1, "update": 1}
    assert stack(program(2)).up().summary == {"same": 2}
    assert stack(program(2)).destroy().ok
    assert shelves.books == {"default": {}}


def test_secrets_stay_secret_in_what_a_provider_gives_back(stack: Make, shelves: Shelves, world: World) -> None:
    def program() -> None:
        Book("book", title="One", pages=pulumi.Output.secret("s3cret-pages"))

    shelves.fail.add("create")
    failed = stack(program).up()
    assert "s3cret-pages" not in str(failed)
    assert "s3cret-pages" not in world.checkpoint.read_text(encoding="utf-8")
    shelves.fail.clear()
    for _ in range(2):
        assert stack(program).up().ok
        assert stack(program).refresh().ok
        assert "s3cret-pages" not in world.checkpoint.read_text(encoding="utf-8")


def test_an_import_adopts_what_is_there(stack: Make, shelves: Shelves) -> None:
    shelves.open({})
    shelves.books["default"]["Found"] = {"title": "Found", "pages": 3.0}

    def program(pages: int, import_: str = "Found") -> Callable[[], None]:
        def body() -> None:
            pulumi.export(
                "pages", Book("book", pulumi.ResourceOptions(import_=import_), title="Found", pages=pages).pages
            )

        return body

    plan = stack(program(3)).preview()
    assert plan.summary == {"create": 1, "import": 1}
    done = stack(program(3)).up()
    assert (done.summary, done.outputs) == ({"create": 1, "import": 1}, {"pages": 3})
    assert stack(program(3)).up().summary == {"same": 2}
    changed = stack(program(4)).up()
    assert changed.summary == {"same": 1, "update": 1}
    assert shelves.books["default"]["Found"]["pages"] == 4


def test_an_import_changes_what_is_there_to_what_is_wanted(stack: Make, shelves: Shelves) -> None:
    shelves.open({})
    shelves.books["default"]["Found"] = {"title": "Found", "pages": 3.0}
    done = stack(lambda: Book("book", pulumi.ResourceOptions(import_="Found"), title="Found", pages=9) and None).up()
    assert [step.op for step in done.steps if step.type == TYPE] == ["import", "update"]
    assert shelves.books["default"]["Found"]["pages"] == 9


@pytest.mark.parametrize(
    ("identifier", "title", "why"),
    [("Lost", "Lost", "there is nothing with the id Lost"), ("Found", "Other", "would have to be replaced")],
)
def test_an_import_that_cannot_be_is_refused(
    stack: Make, shelves: Shelves, identifier: str, title: str, why: str
) -> None:
    shelves.open({})
    shelves.books["default"]["Found"] = {"title": "Found", "pages": 3.0}
    result = stack(lambda: Book("book", pulumi.ResourceOptions(import_=identifier), title=title) and None).up()
    assert not result.ok
    assert why in result.errors[0].message
    assert shelves.books == {"default": {"Found": {"title": "Found", "pages": 3.0}}}
    assert result.summary == {}


def test_a_type_of_another_package_is_only_previewed(stack: Make) -> None:
    def program() -> None:
        class Bucket(pulumi.CustomResource):
            name: pulumi.Output[str]

        pulumi.export("name", Bucket("aws:s3/bucket:Bucket", "logs", {"name": "logs"}).name)
        Bucket("aws:s3/bucket:Bucket", "old", {}, pulumi.ResourceOptions(import_="old-logs"))

    plan = stack(program).preview()
    found = {step.urn.rpartition("::")[2]: (step.op, step.unverified) for step in plan.steps}
    assert found == {"parity-dev": ("create", False), "logs": ("create", True), "old": ("import", True)}
    with pytest.raises(Exception, match="aws:s3/bucket:Bucket needs the provider plugin of aws"):
        stack(program).up()
    assert not stack(program).exists


UNKNOWN_ID = """
a = Thing("a", value=1)
again = Thing("again", Options(id=a.id))
pulumi.export("made", again.made)
"""


def test_what_is_read_may_be_made_by_the_same_program(world: World) -> None:
    world.write(UNKNOWN_ID)
    assert world.run("preview", 1).ok
    result = world.run("up", 1)
    assert (result.ok, result.outputs) == (True, {"made": "made of 1.0"})
    assert world.run("up", 1).summary.keys() == {"same"}


def test_an_id_that_is_no_text_is_refused_before_it_is_recorded(world: World) -> None:
    world.write("""
    from pulumi.dynamic import CreateResult, ResourceProvider

    class Numbered(ResourceProvider):
        def create(self, props):
            return CreateResult(5, {})

    Custom("numbered", Numbered())
    """)
    result = world.run("up", 1)
    assert "the provider gave no id, but 5" in str(result.errors)
    assert [raw for raw in world.state() if raw.get("id") == 5] == []


def test_the_projects_own_configuration(world: World) -> None:
    with (world.root / "Pulumi.yaml").open("a", encoding="utf-8") as file:
        file.write("config: {colour: red, parity:number: 7, parity:size: {default: 3}, parity:none: {type: string}}\n")
    world.write("""
    config = pulumi.Config()
    pulumi.export("found", [config.get(name) for name in ("colour", "number", "size", "none")])
    """)
    assert world.run("up", 1).outputs == {"found": ["red", "1.5", "3", None]}
