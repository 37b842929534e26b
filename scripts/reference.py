#!/usr/bin/env python3
"""Writes docs/reference/ from the code and data that it describes; ``--check`` says which page is stale instead."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from typer.testing import CliRunner

from components.monitoring.parts import dashboards
from policies.catalog import rules
from policies.rule import BY_PROFILE, Rule
from terrace.catalog import Catalog
from terrace.cli import COMMANDS, application
from terrace.rights import RightsTable, SlotRights
from terrace.schema import stack_schema
from terrace.spec import Role
from terrace.tiers import TierTable

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"
MADE = "<!-- Made by `make docs`; do not edit. -->\n"
WIDTH = "100"


def pages() -> dict[str, str]:
    """Return every page's content by its file name."""
    return {
        "cli.md": MADE + "\n".join(command_line()),
        "flavors.md": MADE + "\n".join(flavors(Catalog())),
        "tiers.md": MADE + "\n".join(tiers(TierTable.load())),
        "rights.md": MADE + "\n".join(rights(RightsTable.load())),
        "rules.md": MADE + "\n".join(list_rules(rules())),
        "stack.schema.json": _data(stack_schema()),
        **{f"grafana-{name}.json": _data(dashboards.grafana(name)) for name in dashboards.load()},
    }


def _data(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def command_line() -> Iterator[str]:
    """Yield the lines of every command's ``--help``."""
    yield "# Commands\n"
    yield "Exit codes: 0 fine, 1 the operation failed, 2 the input is wrong, 130 or 143 stopped by a signal.\n"
    for words in _commands():
        shown = CliRunner().invoke(
            application(), [*words, "--help"], prog_name="terrace", env={"COLUMNS": WIDTH, "TERMINAL_WIDTH": WIDTH}
        )
        text = "\n".join(line.rstrip() for line in shown.output.strip().splitlines())
        yield f"## terrace {' '.join(words)}\n\n```text\n{text}\n```\n"


def _commands() -> Iterator[tuple[str, ...]]:
    """Yield every command's words, those of a group after the group's."""
    groups = {group.name: group.typer_instance for group in application().registered_groups}
    for name in COMMANDS:
        yield (name,)
        if group := groups.get(name):
            yield from ((name, command.name or "") for command in group.registered_commands)


def flavors(catalog: Catalog) -> Iterator[str]:
    """Yield the lines that describe every flavor and its options."""
    yield "# Flavors\n"
    for slot, names in catalog.flavors.items():
        for name in names:
            component = catalog.component(slot, name)
            summary = (sys.modules[component.__module__].__doc__ or "").strip()
            yield f"## {slot}: `{name}`\n\n{summary}\n"
            yield f"Targets: {', '.join(component.supports)}. Requires: {', '.join(component.requires) or 'nothing'}.\n"
            fields = {key: field for key, field in component.spec_type.model_fields.items() if key != "flavor"}
            if fields:
                yield "| option | default | meaning |\n|---|---|---|"
            for key, field in fields.items():
                yield f"| `{key}` | `{field.default}` | {field.description or ''} |"
            yield ""


def tiers(table: TierTable) -> Iterator[str]:
    """Yield the lines of the tier table: what each tier asks, and what gives it."""
    yield "# Tiers\n"
    yield (
        "What each tier asks of each practice, beyond the tier below it, and what gives it on the host target. The "
        "table is this project's own synthesis; `terrace explain <env>` shows it for an environment.\n"
    )
    for practice in table.practices.values():
        yield f"## {practice.title}\n\n| tier | asks | given by |\n|---|---|---|"
        for tier, cell in practice.cells.items():
            given = ", ".join(f"`{evidence}`" for evidence in cell.evidence)
            fallback = "stated by an owner" if cell.organisational else "not covered yet"
            yield f"| {tier} {table.tiers[tier]} | {cell.asks} | {given or fallback} |"
        yield ""
    yield "## Slots\n\n| slot | from tier | of the practice | default flavor on the host target |\n|---|---|---|---|"
    for slot, row in table.slots.items():
        flavors = [name if tier == 1 else f"{name} from tier {tier}" for tier, name in row.flavors["host"].items()]
        title = table.practices[row.practice].title
        yield f"| {slot} | {row.from_tier} | {title} | {', '.join(flavors)} |"
    yield ""


def rights(table: RightsTable) -> Iterator[str]:
    """Yield the lines of the table of rights: what each role may do in each slot, and what the rights mean there."""
    yield "# Rights\n"
    yield (
        "What each role of the team may do in each slot; a right includes those before it (read, use, edit, manage). "
        "A person has the highest right of all their roles. The table is this project's own choice; "
        "`terrace team <env>` shows what follows for an environment's people.\n"
    )
    yield f"| role | {' | '.join(table.slots)} |\n|---|{'---|' * len(table.slots)}"
    for role in get_args(Role):
        held = [slot.right(role) for slot in table.slots.values()]
        yield f"| {role} | {' | '.join('' if right == 'none' else right for right in held)} |"
    yield from _meanings("in the cluster, on Kubernetes", table.cluster)
    yield "\n| role | right in the cluster |\n|---|---|"
    for role in get_args(Role):
        if (right := table.cluster.right(role)) != "none":
            yield f"| {role} | {right} |"
    for name, slot in table.slots.items():
        yield from _meanings(name, slot)
    yield ""


def _meanings(name: str, slot: SlotRights) -> Iterator[str]:
    yield f"\n## {name}\n\n| right | allows |\n|---|---|"
    for right, meaning in slot.means.items():
        yield f"| {right} | {meaning} |"


def list_rules(known: Sequence[Rule]) -> Iterator[str]:
    """Yield the lines that say of each rule what it asks, from which tier on, why, and how to do it."""
    yield "# Rules\n"
    yield (
        "What `terrace check`, `preview`, `up`, and the policy pack ask of what is to be deployed; see "
        "[policies.md](../policies.md). A rule is mandatory from its tier on, and at any tier where `compliance` names "
        "a framework of its controls. It gives evidence for a control, and never compliance.\n"
    )
    yield "| rule | asks | severity | mandatory from tier |\n|---|---|---|---|"
    for rule in known:
        yield f"| [{rule.id}](#{rule.id.lower()}) | {rule.title} | {rule.severity} | {rule.from_tier or 'none'} |"
    for rule in known:
        yield f"\n## {rule.id}\n\n**{_sentence(rule.title)}** {rule.why}\n"
        yield f"- Severity: {rule.severity}. Mandatory from tier: {rule.from_tier or 'none, by a profile alone'}."
        for tier, more in rule.stricter.items():
            yield f"- {'By a profile alone' if tier == BY_PROFILE else f'From tier {tier}'}: {more}."
        controls = [f"{profile} {', '.join(numbers)}" for profile, numbers in rule.controls.items()]
        yield f"- Controls: {'; '.join(controls) or 'none'}."
        yield f"- Fix: {_sentence(rule.fix)}"
        module = rule.check.__module__.replace(".", "/")
        yield f"- [{module}.py](../../{module}.py)"
    yield ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def main() -> int:
    """Write the pages, or check them; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 when a page is stale")
    check = parser.parse_args().check
    made = {REFERENCE / name: content for name, content in pages().items()}
    stale = [file for file, content in made.items() if not file.exists() or file.read_text("utf-8") != content]
    if check:
        for file in stale:
            print(f"{file.relative_to(Path.cwd())} is stale: run make docs", file=sys.stderr)
        return 1 if stale else 0
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for file in stale:
        file.write_text(made[file], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
