"""What is said of a blueprint: where values came from, and what covers each cell of the tier table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from terrace import config
from terrace.explain import CellReport, Explanation, explain
from terrace.resolve import resolve
from terrace.tiers import Cell, TierTable
from tests.unit.fake_flavors import FakeCatalog, flavor, load, stack, table

CATALOG = FakeCatalog(flavor("storage", "folder", options={"size": 1}))
TIERS = table(storage={"from_tier": 1, "flavors": {"host": "folder"}})
TEAM = "team:\n  people:\n    ann: {email: ann@example.org}\n    bob: {}\n"
USE_CASE = """\
use_cases:
  flights:
    goal: Tell passengers early.
    kpi: AUC
    baseline: the schedule
    owner: ann
    sources: [{name: flights, class: public}]
    risk_class: minimal
    intended_use: Advice to passengers.
"""


def explained(
    folder: Path, text: str, cells: dict[str, Any] | None = None, root: Path = Path("/nowhere")
) -> Explanation:
    """Explain with ``cells`` as those of tier 1; every other practice keeps its own."""
    rows = dict(TIERS.practices)
    for practice, cell in (cells or {}).items():
        row = rows[practice]  # type: ignore[index]  # a Practice
        rows[practice] = row.model_copy(update={"cells": {**row.cells, 1: Cell.model_validate(cell)}})  # type: ignore[index]
    tiers: TierTable = TIERS.model_copy(update={"practices": rows})
    return explain(resolve(load(folder, text, CATALOG, tiers), tiers, CATALOG), tiers, root)  # type: ignore[arg-type]


def coverage(explanation: Explanation, practice: str) -> tuple[str, tuple[str, ...]]:
    cell = next(cell for cell in explanation.cells if (cell.practice, cell.tier) == (practice, 1))
    return cell.coverage, cell.by


def test_every_value_is_listed_once_with_its_origin(tmp_path: Path) -> None:
    found = explained(tmp_path, stack("storage: {size: 2}", tier=1))

    values = [(value.path, value.value, value.origin, value.detail) for value in found.values]
    assert values[:2] == [
        ("tier", 1, "written", "stack file, Pulumi.case.yaml:2:17"),
        ("target", "host", "written", "stack file, Pulumi.case.yaml:3:19"),
    ]
    whole = ["engine", "backend", "name", "hosts", "kubernetes", "team", "use_cases", "statements", "notify"]
    whole += ["compliance", "waivers", "network"]
    assert list(dict.fromkeys(path.partition(".")[0] for path, *_ in values))[2:14] == whole
    assert values[-17:-14] == [
        ("storage.flavor", "folder", "target", "default on target host"),
        ("storage.size", 2, "written", "stack file, Pulumi.case.yaml:5:21"),
        ("practices.ci_cd", 1, "tier", "tier 1"),
    ]
    assert len({path for path, *_ in values}) == len(values)


def test_what_was_seen_on_a_host_covers_nothing_in_a_cluster(tmp_path: Path) -> None:
    file = tmp_path / "stacks" / "Pulumi.case.yaml"
    file.parent.mkdir()
    file.write_text("config:\n  terrace:tier: 1\n  terrace:target: kubernetes\n", encoding="utf-8")
    found = explain(resolve(config.load(tmp_path, "case")))

    cells = {cell.practice: cell for cell in found.cells if cell.tier == 1}
    assert cells["model_deployment"].coverage == "covered"  # by a slot
    assert cells["data_quality"].lacks == ("tests/host/test_flights.py::test_each_dataset_has_a_profile",)


def test_nothing_secret_is_shown(tmp_path: Path) -> None:
    text = (
        "network: {package_index: {secure: 'v1:YWJj:ZGVm'}}\nnotify: {webhook: {url: 'https://hush@hooks.example'}}\n"
    )
    salt = "encryptionsalt: v1:abc=:v1:def=:ghi=\n"

    found = explain(resolve(load(tmp_path, salt + stack(text), CATALOG, TIERS), TIERS, CATALOG))

    shown = {value.path: value.value for value in found.values}
    assert shown["notify.webhook.url"] == "https://[secret]@hooks.example"
    assert shown["network.package_index"] == "[secret]"


def test_a_practice_is_explained_up_to_its_own_tier(tmp_path: Path) -> None:
    found = explained(tmp_path, stack("practices:\n  ci_cd: {tier: 3}", tier=2))

    tiers = [cell.tier for cell in found.cells if cell.practice == "ci_cd"]
    assert tiers == [1, 2, 3]
    assert [cell.tier for cell in found.cells if cell.practice == "collaboration"] == [1, 2]
    assert (found.env, found.tier, found.target) == ("case", 2, "host")


@pytest.mark.parametrize(
    ("evidence", "covered"),
    [
        ([{"slot": "storage"}], True),
        ([{"slot": "absent"}], False),
        ([{"file": "docs/page.md"}], True),
        ([{"file": "docs/other.md"}], False),
        ([{"test": "docs/page.md::test_it"}], True),
        ([{"slot": "storage"}, {"file": "docs/other.md"}], False),
        ([{"configure": "firewall"}], True),
        ([{"configure": "encrypted_data"}], False),
        ([], False),
    ],
)
def test_a_cell_is_covered_when_all_its_evidence_is_there(tmp_path: Path, evidence: list[Any], covered: bool) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "page.md").touch()

    configured = stack("hosts: [{configure: {firewall: {}}}]", tier=1)

    found = explained(tmp_path, configured, {"ci_cd": {"asks": "Much.", "evidence": evidence}}, tmp_path)

    assert coverage(found, "ci_cd")[0] == ("covered" if covered else "not covered")
    assert len(coverage(found, "ci_cd")[1]) == len(evidence)


STATED = """\
statements:
  - practice: {practice}
    tier: 1
    says: It is as it stands here.
    owner: ann
    made: 2024-01-31
    expires: {expires}
"""
SAID = "ann, 2024-01-31, until {expires}: It is as it stands here."


@pytest.mark.parametrize(
    ("practice", "platform", "about"),
    [
        ("lifecycle_management", TEAM + USE_CASE, ("use_cases.flights, owner ann",)),
        ("explainability", TEAM + USE_CASE, ("use_cases.flights, owner ann",)),
        ("collaboration", TEAM, ("team.people.ann",)),
        ("risk_and_compliance", TEAM, ()),
    ],
)
def test_an_organisational_cell_is_stated_by_the_spec(
    tmp_path: Path, practice: str, platform: str, about: tuple[str, ...]
) -> None:
    platform += STATED.format(practice=practice, expires="2999-12-31")
    cell = organisational(tmp_path, practice, platform)
    assert (cell.coverage, cell.lacks) == ("stated", ())
    assert cell.by == (*about, SAID.format(expires="2999-12-31"))


@pytest.mark.parametrize(
    ("practice", "platform", "lacks"),
    [
        ("lifecycle_management", TEAM, ("`use_cases` is empty",)),
        ("explainability", TEAM, ("`use_cases` is empty",)),
        (
            "collaboration",
            TEAM.replace("email: ann@example.org", ""),
            ("nobody in `team.people` has an email address",),
        ),
    ],
)
def test_a_statement_about_nothing_covers_nothing(
    tmp_path: Path, practice: str, platform: str, lacks: tuple[str, ...]
) -> None:
    cell = organisational(tmp_path, practice, platform + STATED.format(practice=practice, expires="2999-12-31"))
    assert (cell.coverage, cell.lacks) == ("not covered", lacks)


def test_a_statement_that_ended_or_was_never_made_covers_nothing(tmp_path: Path) -> None:
    ended = organisational(
        tmp_path, "collaboration", TEAM + STATED.format(practice="collaboration", expires="2024-12-31")
    )
    assert (ended.coverage, ended.lacks) == ("not covered", ("the statement ended on 2024-12-31",))
    never = organisational(tmp_path, "collaboration", TEAM)
    assert (never.coverage, never.lacks) == ("not covered", ("`statements` has none of collaboration at tier 1",))


def organisational(folder: Path, practice: str, platform: str) -> CellReport:
    cells = {
        row: {"asks": "Somebody.", "organisational": True}
        for row in ("lifecycle_management", "explainability", "collaboration", practice)
    }
    found = explained(folder, stack(platform, tier=1), cells)
    return next(cell for cell in found.cells if (cell.practice, cell.tier) == (practice, 1))


def test_waivers_are_told(tmp_path: Path) -> None:
    waiver = (
        "practices:\n  ci_cd:\n    tier: 1\n    waiver: {reason: The servers move., owner: ann, expires: 2999-12-31}"
    )

    rule = "\nwaivers: [{rule: K5, resource: a/b, reason: It is measured., owner: ann, expires: 2999-12-31}]"

    found = explained(tmp_path, stack(TEAM + waiver + rule, tier=2))

    assert found.waivers == (
        "ci_cd is held at tier 1 until 2999-12-31, by ann: The servers move.",
        "rule K5 at a/b until 2999-12-31, by ann: It is measured.",
    )
    assert explained(tmp_path, stack(tier=2)).waivers == ()


def test_an_explanation_is_json_data(tmp_path: Path) -> None:
    document = json.loads(json.dumps(explained(tmp_path, stack(tier=1)).document()))

    assert set(document) == {"env", "tier", "target", "values", "cells", "waivers", "unheard", "data"}
    assert document["values"][0] == {
        "path": "tier",
        "value": 1,
        "origin": "written",
        "detail": "stack file, Pulumi.case.yaml:2:17",
    }
