"""Planted personal data is found wherever it stands, named by column and kind, and never shown."""

from __future__ import annotations

import pandas as pd
import pytest
from flights import personal, source
from flights.schemas import schema_failures
from made_up import batch

# Made up, or published as examples: nobody's.
PLANTED = {
    "e-mail address": "jane.doe@example.org",
    "telephone number": "+1 212-555-0143",
    "payment card": "4111 1111 1111 1111",
    "bank account": "DE89 3704 0044 0532 0130 00",
}


def planted(value: object, table: str = "planes", column: str = "model") -> dict[str, pd.DataFrame]:
    tables = batch()
    return {**tables, table: tables[table].assign(**{column: value})}


@pytest.mark.parametrize(("kind", "value"), PLANTED.items())
def test_each_kind_is_found_in_the_midst_of_a_text_and_not_shown(kind: str, value: str) -> None:
    assert personal.findings(planted(f"owned by {value}.")) == [
        f"personal data: planes.model: {kind} in 1 distinct value(s)"
    ]


@pytest.mark.parametrize("column", ["passenger_name", "LastName", "surname", "customer", "names"])
def test_a_column_that_by_its_name_holds_peoples_names_is_found(column: str) -> None:
    found = personal.findings(planted("Doe", "flights", column))
    assert found == [f"personal data: flights.{column}: people's names, by what it is called"]


def test_a_card_number_kept_as_a_whole_number_is_found() -> None:
    assert personal.findings(planted(4111111111111111, "flights", "paid")) == [
        "personal data: flights.paid: payment card in 1 distinct value(s)"
    ]


@pytest.mark.parametrize(
    "harmless",
    [
        "737-824",
        "N725MQ",
        "4111 1111 1111 1112",  # the check digit is wrong
        "DE89 3704 0044 0532 0130 01",
        "20131231235959000",
        "America/New_York",
        "a @ b",
    ],
)
def test_what_only_looks_alike_is_not_taken_for_it(harmless: str) -> None:
    assert personal.findings(planted(harmless)) == []


def test_the_real_data_holds_none() -> None:
    assert personal.findings(source.read_package()) == []


@pytest.mark.parametrize(("kind", "value"), PLANTED.items())
def test_the_schemas_reasons_are_masked(kind: str, value: str) -> None:
    (failure,) = schema_failures(planted(value, "flights", "origin"))
    assert value not in failure
    assert f"[{kind}]" in failure
    assert personal.mask(f"from {value} to {value}") == f"from [{kind}] to [{kind}]"
