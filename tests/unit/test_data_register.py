"""The data register: what the use cases say of data, put together by source and class."""

from __future__ import annotations

from terrace.data_register import Entry, register
from terrace.spec import UseCase


def case(owner: str, *sources: dict[str, object]) -> UseCase:
    return UseCase.model_validate(
        {
            "goal": "Tell people something that helps.",
            "kpi": "AUC",
            "baseline": "guessing",
            "owner": owner,
            "sources": sources,
            "risk_class": "minimal",
            "intended_use": "Advice to people.",
        }
    )


def test_data_of_one_source_and_class_is_one_entry() -> None:
    found = register(
        {
            "delay": case(
                "ann", {"name": "flights", "class": "public"}, {"name": "people", "class": "pii", "keep_days": 90}
            ),
            "price": case(
                "bob",
                {"name": "flights", "class": "public", "owner": "ann", "columns": ["fare"]},
                {"name": "people", "class": "pii", "keep_days": 30, "columns": ["email"]},
                {"name": "people", "class": "internal", "columns": ["age"]},
            ),
        }
    )
    assert found == (
        Entry("flights", "public", ("ann",), None, ("delay", "price"), ("fare",)),
        Entry("people", "internal", ("bob",), None, ("price",), ("age",)),
        Entry("people", "pii", ("ann", "bob"), 30, ("delay", "price"), ("email",)),
    )


def test_without_use_cases_it_is_empty() -> None:
    assert register({}) == ()
