"""Prints plans and results of operations."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from terrace.cli.errors import print_errors
from terrace.cli.progress import QUIET_OPS
from terrace.engine.model import PropertyChange, ResourceError, Result, Step
from terrace.errors import OperationError
from terrace.names import depth, resource_name
from terrace.notify import unheard

if TYPE_CHECKING:
    from terrace.resolve import Blueprint
    from terrace.spec import PlatformSpec

SYMBOLS = {"create": "+", "update": "~", "replace": "+-", "delete": "-", "read": "<", "import": "="}
COLORS = {"+": typer.colors.GREEN, "~": typer.colors.YELLOW, "+-": typer.colors.MAGENTA, "-": typer.colors.RED}
DONE_WORDS = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "import": "imported",
    "same": "unchanged",
}
PLAN_WORDS = {op: f"to {op}" for op in ("create", "update", "delete", "replace", "import")} | {"same": "unchanged"}
# The halves of a replacement, which the step `replace` stands for.
HALVES = frozenset({"create-replacement", "delete-replaced", "import-replacement", "read-replacement"})
DYNAMIC = "pulumi-python:dynamic/"  # what Pulumi puts before the types of resources that Python code handles
LOCKED = "the stack is currently locked"  # the Pulumi CLI's words
URN = re.compile(r"urn:pulumi:[^\s,]+::[^\s,]*::[^\s,]+::[\w./-]+")  # in a message
MAX_VALUE = 80  # characters of a property's value in a plan


def print_json(document: Any) -> None:
    """Print ``document`` for a program to read."""
    typer.echo(json.dumps(document, indent=2, default=str))


def plan_document(env: str, result: Result) -> dict[str, Any]:
    """Return the plan as ``preview --json`` prints it."""
    steps = [_step_document(step) for step in result.steps]
    said = [dataclasses.asdict(each) for each in result.judged]
    return {"env": env, "steps": steps, "summary": result.summary, "outputs": result.outputs, "rules": said}


def _step_document(step: Step) -> dict[str, Any]:
    document: dict[str, Any] = {"op": step.op, "urn": step.urn, "type": step.type}
    if step.diff:
        document["changes"] = [dataclasses.asdict(change) for change in step.diff]
    if step.unverified:
        document["unverified"] = True
    return document


def result_document(env: str, result: Result) -> dict[str, Any]:
    """Return the result of a finished operation as its ``--json`` prints it."""
    document = plan_document(env, result)
    for step, entry in zip(result.steps, document["steps"], strict=True):
        entry["seconds"] = round(step.duration, 3)
    return {**document, "ok": result.ok}


def print_plan(result: Result) -> None:
    """Print what would change, slot by slot, and how much."""
    shown = [step for step in result.steps if step.op not in QUIET_OPS and step.op not in HALVES]
    slots = list(dict.fromkeys(resource_name(step.urn).group for step in shown))
    for step in sorted(shown, key=lambda step: (slots.index(resource_name(step.urn).group), depth(step.urn))):
        _print_step(step)
    typer.echo(summary_line(result, PLAN_WORDS) or "nothing is declared")


def print_summary(result: Result, seconds: float) -> None:
    """Print how much was done, and how long it took."""
    typer.echo(f"{summary_line(result, DONE_WORDS) or 'nothing to do'} ({seconds:.1f} s)")


def report_failure(result: Result, again: str, *, as_json: bool) -> None:
    """Print what failed and what to do about it.

    Args:
        result: The failed result.
        again: The command that carries on after the cause is gone; empty where nothing was begun.
        as_json: Whether a program reads it.
    """
    # That the whole was stopped is said once, in place of what the engine says of it.
    told = [error for error in result.errors if error.urn or not result.interrupted]
    errors = [_as_error(error, again) for error in told]
    if result.interrupted:
        fix = f"run `{again}` to carry on; what is done stays done" if again else None
        errors.append(OperationError("stopped before everything was done", fix=fix))
    print_errors(errors, as_json=as_json)


def summary_line(result: Result, words: dict[str, str]) -> str:
    """Return the number of resources by what happens to them, such as ``3 to create, 4 unchanged``."""
    counts = {op: count for op, count in result.summary.items() if op not in HALVES and count}
    return ", ".join(f"{count} {words.get(op, op)}" for op, count in counts.items())


def _print_step(step: Step) -> None:
    symbol = SYMBOLS.get(step.op, "·")
    indent = "  " * depth(step.urn)
    note = "  (unverified: compared by its inputs only)" if step.unverified else ""
    name = resource_name(step.urn).name
    typer.secho(f"{symbol:<2} {indent}{name}", fg=COLORS.get(symbol), nl=False)
    typer.secho(f"  {step.type.removeprefix(DYNAMIC)}{note}", dim=True)
    for change in step.diff if step.op != "create" else ():
        typer.echo(f"   {indent}  {_change(change)}")


def _change(change: PropertyChange) -> str:
    text = {
        "add": f"+ {change.path}: {_short(change.new)}",
        "delete": f"- {change.path}: {_short(change.old)}",
        "update": f"~ {change.path}: {_short(change.old)} → {_short(change.new)}",
    }[change.kind]
    return f"{text} (replaces)" if change.replaces else text


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    text = " ".join(text.split())
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _as_error(error: ResourceError, again: str) -> OperationError:
    where = str(resource_name(error.urn)) if error.urn else "the program"
    says_how = "fix: " in error.message  # a provider of ours has said it already
    fix = None if says_how or not again else f"remove the cause and run `{again}` again; what is done stays done"
    if LOCKED in error.message:
        fix = "wait for the other operation; if it surely isn't running any more, unlock it with `terrace cancel`"
    message = URN.sub(lambda found: str(resource_name(found[0])), error.message.strip())
    return OperationError(message, where=where, fix=fix)


def changes(plan: Result) -> bool:
    """Return whether carrying out the plan would change anything."""
    return any(step.op not in QUIET_OPS for step in plan.steps)


def print_endpoints(outputs: Mapping[str, Any]) -> None:
    """Print where the platform's services are reached."""
    for name, url in (outputs.get("endpoints") or {}).items():
        typer.echo(f"  {name:<16} {url}")


def print_uncovered(blueprint: Blueprint) -> None:
    """Say where a tier is asked for of which most is still to come."""
    from terrace.tiers import TierTable

    rows = TierTable.load().practices
    cells = [rows[practice].cells[tier] for practice, tier in blueprint.practices.items()]
    bare = sum(not cell.evidence and not cell.organisational for cell in cells)
    if bare > len(cells) / 2:
        tier, env = blueprint.tier, blueprint.environment
        typer.echo(
            f"note: nothing covers yet what tier {tier} asks of {bare} practices: terrace explain {env}", err=True
        )


def print_unheard(spec: PlatformSpec) -> None:
    """Print whose alerts reach nobody."""
    for sentence in unheard(spec.notify):
        typer.secho(f"note: {sentence}", fg=typer.colors.YELLOW)
