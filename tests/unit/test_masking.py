"""Which inputs of which model are masked, from the classes of data in the use cases."""

from __future__ import annotations

from typing import Any

import pytest

from terrace.masking import input_classes
from terrace.spec import UseCase

CARD = {
    "goal": "Fewer people wait in vain.",
    "kpi": "complaints",
    "baseline": "100 a month",
    "owner": "team",
    "risk_class": "minimal",
    "intended_use": "Telling travellers ahead of time.",
}


def use_case(*sources: dict[str, Any], **more: Any) -> UseCase:
    return UseCase.model_validate({**CARD, "sources": sources, **more})


def source(data_class: str, *columns: str) -> dict[str, Any]:
    return {"name": "source", "class": data_class, "columns": columns}


@pytest.mark.parametrize(
    ("sources", "classes"),
    [
        ([source("internal")], None),
        ([source("public", "x")], None),
        ([source("pii")], {"*": "pii"}),
        ([source("internal"), source("confidential")], {"*": "confidential"}),
        ([source("pii", "email"), source("internal", "x")], {"email": "pii", "x": "internal"}),
        ([source("pii"), source("public", "x")], {"*": "pii", "x": "public"}),
        ([source("confidential", "x"), source("pii", "x"), source("internal", "x")], {"x": "pii"}),
    ],
)
def test_the_strictest_class_of_an_input_holds(sources: list[dict[str, Any]], classes: dict[str, str] | None) -> None:
    assert input_classes({"m": use_case(*sources)}) == ({"m": classes} if classes else {})


def test_a_use_case_stands_for_the_models_that_it_names() -> None:
    found = input_classes({"case": use_case(source("pii", "x"), models=["a", "b"]), "b": use_case(source("pii", "y"))})
    assert found == {"a": {"x": "pii"}, "b": {"x": "pii", "y": "pii"}}
