"""The order of slots."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrace import graph
from terrace.errors import InputError
from tests.unit.fake_flavors import FakeCatalog, flavor


class Slots:
    """As much of a blueprint as ordering needs: every slot of the catalog but those left out."""

    def __init__(self, catalog: FakeCatalog, without: str = "") -> None:
        names = {slot: flavors[0] for slot, flavors in catalog.flavors.items() if slot != without}
        self.slots = {slot: catalog.spec_type(slot, name)() for slot, name in names.items()}


def order(catalog: Any, without: str = "") -> tuple[str, ...]:
    return graph.order(Slots(catalog, without), catalog)  # type: ignore[arg-type]  # stands for a blueprint


def test_a_slot_comes_after_what_it_requires_and_uses() -> None:
    catalog = FakeCatalog(
        flavor("a", "one", requires=("b",), uses=("c", "absent")),
        flavor("b", "one", requires=("d",)),
        flavor("c", "one", uses=("b",)),
        flavor("d", "one"),
    )

    assert order(catalog) == ("d", "b", "c", "a")


def test_a_used_slot_may_be_absent_and_a_required_one_may_not() -> None:
    catalog = FakeCatalog(flavor("a", "one", uses=("b",)), flavor("b", "one"), flavor("c", "one", requires=("b",)))

    with pytest.raises(InputError) as caught:
        order(catalog, without="b")

    assert caught.value.what == "c.flavor 'one' requires the slot 'b', which has no flavor"
    assert caught.value.fix == "Add `b:` to terrace:platform, or choose another flavor for c."
    assert order(FakeCatalog(flavor("a", "one", uses=("b",)), flavor("b", "one")), without="b") == ("a",)


def test_a_circle_is_named_from_slot_to_required_slot() -> None:
    catalog = FakeCatalog(
        flavor("a", "one", requires=("b",)),
        flavor("b", "one", uses=("c",)),
        flavor("c", "one", requires=("a",)),
    )

    with pytest.raises(InputError) as caught:
        order(catalog)

    circle = (caught.value.why or "").split(" → ")
    assert caught.value.what == "slots require each other in a circle"
    assert set(circle) == {"a", "b", "c"}
    assert all(later in {"a": "b", "b": "c", "c": "a"}[one] for one, later in pairwise(circle))


@given(st.permutations("abcdef"), st.data())
def test_any_requirements_without_a_circle_are_kept(names: list[str], data: st.DataObject) -> None:
    required = {
        name: data.draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        for place, name in enumerate(names)
    }
    found = order(FakeCatalog(*(flavor(name, "one", requires=tuple(required[name])) for name in names)))

    assert sorted(found) == sorted(names)
    assert all(found.index(one) < found.index(name) for name in names for one in required[name])
