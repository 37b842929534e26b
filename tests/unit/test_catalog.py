"""Flavors are found by their files; a file that is no flavor is told as what it is."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from terrace.catalog import Catalog
from terrace.errors import OperationError

FLAVOR = """
from typing import ClassVar, Literal
from components.base import Component, FlavorSpec, SlotOutputs

class Spec(FlavorSpec):
    flavor: Literal["{name}"] = "{name}"

class Flavor(Component[Spec, SlotOutputs]):
    token: ClassVar[str] = "{token}"
    spec_type: ClassVar[type[FlavorSpec]] = Spec
    supports: ClassVar[tuple[str, ...]] = ("host",)

    def build(self, spec, inputs):
        return SlotOutputs()
"""


def write(folder: Path, slot: str, flavor: str, text: str) -> None:
    (folder / slot).mkdir(exist_ok=True)
    (folder / slot / "__init__.py").touch()
    (folder / slot / f"{flavor}.py").write_text(text)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """A package of flavors of its own."""
    package = tmp_path / f"flavors_of_{request.node.name}"
    package.mkdir()
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    return package


def test_the_real_catalog_has_every_slot_of_the_tier_table() -> None:
    flavors = Catalog().flavors

    assert set(flavors) >= {"database", "gateway", "tracking", "serving"}
    assert "locks" not in flavors
    assert all(flavors.values())


def test_flavors_are_the_files_beside_a_slot_s_contract(folder: Path) -> None:
    write(folder, "b", "two", "")
    write(folder, "b", "one", "")
    write(folder, "a", "one", "")
    (folder / "b" / "_helper.py").touch()
    (folder / "no_slot").mkdir()

    assert Catalog(folder, folder.name).flavors == {"a": ("one",), "b": ("one", "two")}


def test_a_module_loads_once_and_only_when_asked_for(folder: Path) -> None:
    write(folder, "a", "one", FLAVOR.format(name="one", token="terrace:a:One"))
    write(folder, "a", "broken", "raise RuntimeError")
    catalog = Catalog(folder, folder.name)

    assert catalog.flavors == {"a": ("broken", "one")}
    assert f"{folder.name}.a.one" not in sys.modules
    component = catalog.component("a", "one")
    assert component is catalog.component("a", "one")
    assert component.token == "terrace:a:One"
    assert catalog.spec_type("a", "one") is component.spec_type


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it has 0 components instead of one"),
        ("from components.tracking.mlflow import MLflow", "it has 0 components instead of one"),
        (FLAVOR.format(name="one", token="terrace:a:One") + "\nclass Other(Flavor): pass\n", "it has 2 components"),
        (FLAVOR.format(name="two", token="terrace:a:One"), "its spec's `flavor` is not 'one'"),
        (
            FLAVOR.format(name="one", token="terrace:b:One"),
            "its token 'terrace:b:One' does not begin with 'terrace:a:'",
        ),
    ],
    ids=["empty", "imported", "two", "flavor", "token"],
)
def test_a_file_that_is_no_flavor_is_told(folder: Path, text: str, why: str) -> None:
    write(folder, "a", "one", text)

    with pytest.raises(OperationError) as caught:
        Catalog(folder, folder.name).component("a", "one")

    assert caught.value.what == f"{folder.name}.a.one is not a flavor"
    assert why in (caught.value.why or "")
    assert "docs/adding-a-flavor.md" in (caught.value.fix or "")
