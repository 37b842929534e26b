"""Says of a blueprint where every value came from, and of each practice what its tier asks and what gives it."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from terrace.data_register import Entry, register
from terrace.notify import unheard
from terrace.resolve import GENERAL
from terrace.tiers import Cell, Evidence, TierTable

if TYPE_CHECKING:
    from terrace.resolve import Blueprint
    from terrace.spec import PlatformSpec
    from terrace.spec_practices import Waiver

ROOT = Path(__file__).parents[1]
ON_HOSTS = "tests/host/"
PASSWORD_IN_ADDRESS = re.compile(r"://[^\s/@]+@")

Coverage = Literal["covered", "stated", "not covered"]


@dataclass(frozen=True)
class Value:
    """A resolved value: its dotted path, and where it came from."""

    path: str
    value: Any
    origin: str
    detail: str


@dataclass(frozen=True)
class CellReport:
    """What a tier asks of a practice, and what gives it.

    ``coverage`` is «covered» when all evidence is there, «stated» for an organisational cell that an owner states in
    the spec, «not covered» otherwise; ``lacks`` says then what is missing.
    """

    practice: str
    title: str
    tier: int
    asks: str
    coverage: Coverage
    by: tuple[str, ...]
    lacks: tuple[str, ...]


@dataclass(frozen=True)
class Explanation:
    """A whole blueprint explained; ``unheard`` says which alerts reach nobody, ``data`` is the data register."""

    env: str
    tier: int
    target: str
    values: tuple[Value, ...]
    cells: tuple[CellReport, ...]
    waivers: tuple[str, ...]
    unheard: tuple[str, ...]
    data: tuple[Entry, ...]

    def document(self) -> dict[str, Any]:
        """Return the explanation as JSON data."""
        return asdict(self)


def explain(blueprint: Blueprint, table: TierTable | None = None, root: Path = ROOT) -> Explanation:
    """Explain ``blueprint``. ``root`` is where the evidence's files are looked for."""
    rows = (table or TierTable.load()).practices
    cells = tuple(
        _cell(blueprint, practice, rows[practice].title, tier, rows[practice].cells[tier], root)
        for practice, highest in blueprint.practices.items()
        for tier in range(1, highest + 1)
    )
    return Explanation(
        blueprint.environment,
        blueprint.tier,
        blueprint.target,
        tuple(_values(blueprint)),
        cells,
        tuple(_waivers(blueprint.spec)),
        unheard(blueprint.spec.notify),
        register(blueprint.spec.use_cases),
    )


def _waivers(spec: PlatformSpec) -> Iterator[str]:
    for practice, level in spec.practices.items():
        if level.waiver:
            yield f"{practice} is held at tier {level.tier} {_ends(level.waiver)}"
    for waiver in spec.waivers:
        yield f"rule {waiver.rule} at {waiver.resource} {_ends(waiver)}"


def _ends(waiver: Waiver) -> str:
    return f"until {waiver.expires}, by {waiver.owner}: {waiver.reason}"


def _values(blueprint: Blueprint) -> Iterator[Value]:
    decided: dict[str, Any] = {"tier": blueprint.tier, "target": blueprint.target}
    decided |= blueprint.spec.model_dump(mode="json", by_alias=True, include=set(GENERAL))
    for slot, spec in blueprint.slots.items():
        decided |= {f"{slot}.{option}": value for option, value in spec.model_dump(mode="json").items()}
    decided |= {f"practices.{practice}": tier for practice, tier in blueprint.practices.items()}
    for name, value in decided.items():
        origin = blueprint.origins[name]
        detail = f"{origin.detail}, {origin.where}" if origin.where else origin.detail
        for path, part in _parts(name, value):
            yield Value(path, part, origin.kind, detail)


def _parts(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a mapping's values, each with its dotted path, without what may be a secret."""
    if not isinstance(value, Mapping) or not value:
        yield path, PASSWORD_IN_ADDRESS.sub("://[secret]@", value) if isinstance(value, str) else value
    elif set(value) == {"secure"}:
        yield path, "[secret]"
    else:
        for name, item in value.items():
            yield from _parts(f"{path}.{name}", item)


def _cell(blueprint: Blueprint, practice: str, title: str, tier: int, cell: Cell, root: Path) -> CellReport:
    if cell.organisational:
        stated, lacks = _statement(blueprint, practice, tier)
        return CellReport(practice, title, tier, cell.asks, "not covered" if lacks else "stated", stated, lacks)
    given = tuple(str(evidence) for evidence in cell.evidence)
    lacks = tuple(str(evidence) for evidence in cell.evidence if not _is_there(blueprint, evidence, root))
    if not given:
        lacks = ("nothing gives it yet",)
    return CellReport(practice, title, tier, cell.asks, "not covered" if lacks else "covered", given, lacks)


def _is_there(blueprint: Blueprint, evidence: Evidence, root: Path) -> bool:
    if evidence.slot:
        return evidence.slot in blueprint.slots
    if blueprint.target != "host" and (evidence.configure or (evidence.test or "").startswith(ON_HOSTS)):
        return False  # what was seen on a host was not seen here
    if evidence.configure:
        return all(getattr(host.configure, evidence.configure) for host in blueprint.hosts)
    return (root / str(evidence.test or evidence.file).partition("::")[0]).is_file()


def _statement(blueprint: Blueprint, practice: str, tier: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the spec states for an organisational cell, and what it lacks for that."""
    described, lacks = _described(blueprint.spec, practice, tier)
    made = [each for each in blueprint.spec.statements if (each.practice, each.tier) == (practice, tier)]
    today = datetime.datetime.now(datetime.UTC).date()
    for each in made:
        described.append(f"{each.owner}, {each.made}, until {each.expires}: {each.says}")
        if each.expires < today:
            lacks.append(f"the statement ended on {each.expires}")
    if not made:
        lacks.append(f"`statements` has none of {practice} at tier {tier}")
    return tuple(described), tuple(lacks)


def _described(spec: PlatformSpec, practice: str, tier: int) -> tuple[list[str], list[str]]:
    """Return the part of the spec that a statement of a cell is about, and what is missing there."""
    if tier == 1 and practice in ("lifecycle_management", "explainability"):
        cases = [f"use_cases.{name}, owner {case.owner}" for name, case in spec.use_cases.items()]
        return cases, [] if cases else ["`use_cases` is empty"]
    if tier == 1 and practice == "collaboration":
        people = [f"team.people.{name}" for name, person in spec.team.people.items() if person.email]
        return people, [] if people else ["nobody in `team.people` has an email address"]
    return [], []
