"""The JSON Schema agrees with the reader: what one takes the other takes, where a schema can say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from terrace.catalog import Catalog
from terrace.complaints import _FORMS
from terrace.schema import stack_schema
from terrace.tiers import TierTable

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "tests" / "specs"
# A schema knows a file's shape, not how its parts fit together, the order of keys, or the bytes.
BEYOND_A_SCHEMA = (
    "owner.",
    "port.error.of",
    "port.error.twice",
    "practice.error.lowered",
    "address.error.account",
    "address.error.every",
    "address.error.host",
    "address.error.of",
    "folder.error.of",
    "host.error.a",
    "secret.error.no_salt",
    "secret.error.of",
    "secret.error.salt",
    "slot.ok",
    "target.error.no",
    "team.error.reserved",
    "use_case.error.shared",
)
BEYOND_A_SCHEMA += (
    "waiver.error.expired",
    "waiver.error.no_such",
    "waiver.error.unknown",
    "rule_waiver.error.unknown",
    "team.error.unknown_member",
    "flavor.error.not_on",
)
BEYOND_A_SCHEMA += ("notify.error.absent", "notify.error.half", "notify.error.in_the", "notify.error.nobody")
BEYOND_A_SCHEMA += ("notify.error.password_in", "statement.error")
BEYOND_A_SCHEMA += ("hosts.error.do_not", "hosts.error.group", "hosts.error.link", "image_registry.error.on")
BEYOND_A_SCHEMA += ("hosts.error.on", "kubernetes.error.on", "kubernetes.error.placed", "kubernetes.error.teams")
NOT_DATA = ("file.error.not", "file.error.tab", "file.error.alias", "file.error.nul", "file.error.two", "key.error.dup")
NOT_DATA += ("file.error.tag", "file.error.deep", "waiver.error.no_such")
SCHEMA = stack_schema()


def data(file: Path) -> Any:
    return YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))


def as_json(value: Any) -> Any:
    """Return what an editor's schema check sees: dates are text."""
    if isinstance(value, dict):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def complaints(file: Path) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(as_json(data(file)))]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert "PlatformSpec" not in SCHEMA["$defs"]


@pytest.mark.parametrize(
    "file", sorted([*SPECS.glob("*.ok.yaml"), *(ROOT / "stacks").glob("Pulumi.*.yaml")]), ids=lambda f: f.name
)
def test_it_takes_what_the_reader_takes(file: Path) -> None:
    assert complaints(file) == []


@pytest.mark.parametrize(
    "file",
    [file for file in sorted(SPECS.glob("*.error.*")) if not file.name.startswith(NOT_DATA)],
    ids=lambda f: f.name,
)
def test_it_refuses_what_the_reader_refuses(file: Path) -> None:
    assert bool(complaints(file)) is not file.name.startswith(BEYOND_A_SCHEMA)


def test_every_slot_says_its_flavors_and_from_which_tier_it_is_there() -> None:
    slots = SCHEMA["properties"]["config"]["properties"]["terrace:platform"]["properties"]
    catalog, tiers = Catalog(), TierTable.load()

    for slot, names in catalog.flavors.items():
        row = tiers.slots[slot]
        assert slots[slot]["description"] == (
            f"Flavors: {', '.join(names)}. Comes with tier {row.from_tier} of {row.practice}."
        )
        assert len(slots[slot]["anyOf"]) == len(names)


def test_a_slot_that_no_tier_has_is_described_without_one() -> None:
    tiers = TierTable.load().model_copy(update={"slots": {}})

    slots = stack_schema(Catalog(), tiers)["properties"]["config"]["properties"]["terrace:platform"]["properties"]

    assert slots["tracking"]["description"] == "Flavors: mlflow."


@pytest.mark.parametrize(
    ("value", "taken"), [(3, True), ("3", True), ("three", False), (6, False), (2.5, False), (None, False)]
)
def test_numbers_may_be_text_as_the_cli_writes_them(value: Any, taken: bool) -> None:
    document = {"config": {"terrace:tier": value, "terrace:target": "host"}}

    assert Draft202012Validator(SCHEMA).is_valid(document) is taken


def test_keys_of_other_projects_are_left_alone_and_wrong_ones_of_this_are_not() -> None:
    good = {"terrace:tier": 1, "terrace:target": "host"}
    validator = Draft202012Validator(SCHEMA)

    assert validator.is_valid({"config": {**good, "aws:region": "x"}})
    assert not validator.is_valid({"config": {**good, "terrace:teir": 1}})
    assert not validator.is_valid({"config": {"terrace:tier": 1}})
    assert not validator.is_valid({})


def _patterns(document: Any) -> set[str]:
    if isinstance(document, list):
        return {pattern for each in document for pattern in _patterns(each)}
    if not isinstance(document, dict):
        return set()
    own = {document["pattern"]} if isinstance(document.get("pattern"), str) else set()
    return own | {pattern for each in document.values() for pattern in _patterns(each)}


def test_every_form_that_a_text_must_have_is_said_in_words() -> None:
    # How the CLI writes numbers and secrets, and what a type checks that has words of its own.
    by_the_schema_alone = {r"^-?\d+$", r"^v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$", r"^\d{1,3}(\.\d{1,3}){3}$"}
    asked = {pattern for pattern in _patterns(SCHEMA) if "terrace:" not in pattern} - by_the_schema_alone
    assert asked - _FORMS.keys() == set()
