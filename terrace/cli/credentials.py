"""`terrace credentials`: hand a person's password over, once."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from terrace.cli.options import Engine, ProjectFolder, Yes
from terrace.errors import InputError

OTHER_SCREEN, FIRST_SCREEN = "\x1b[?1049h\x1b[H", "\x1b[?1049l"  # of a terminal; what the other one showed is gone

NewFile = Annotated[
    Path | None, typer.Option("--file", help="Write them to a new file that only you can read.", metavar="FILE")
]


def credentials(
    env: Annotated[str, typer.Argument(metavar="ENV", help="The environment.")],
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A name of team.people.")],
    project: ProjectFolder = None,
    engine: Engine = None,
    new: Annotated[bool, typer.Option("--new", help="Make a new password first; the old one ends.")] = False,
    file: NewFile = None,
    yes: Yes = False,
) -> None:
    """Hand a person's account over: shown once, on a terminal or in a file.

    The same account opens the gateway and every service that the person has a right in. A password is handed over
    once; whoever lost it gets a new one with --new.

    Example: terrace credentials local scientist
    """
    from terrace.cli import operations
    from terrace.cli.audited import audited
    from terrace.handover import Handovers, write_once

    if file is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("a password is shown on a terminal only", fix="name a file to write it to: --file FILE")
    session = operations.open_session(env, project, engine, runs_program=new, options=_replacing(person, new=new))
    outputs = session.outputs(show_secrets=True)
    _require(outputs, person, env)
    if new:
        if operations.require_yes(session, "credentials", yes=yes):
            operations.ask(f"Make a new password for {person}? The old one ends.")
        session.change("up")
        outputs = session.outputs(show_secrets=True)
    shown = _account(outputs, person)
    note = partial(Handovers.of(session.project, env).note, person, shown["password"])
    with audited(session, "hand_over", f"account of {person}"):
        if file is None:
            note()
            _show(shown)
        else:
            write_once(file, shown, note)
            typer.echo(f"written to {file}; delete it when it's handed over")


def _replacing(person: str, *, new: bool) -> Any:
    from terrace.cli import operations

    resource = [f"platform/person-{person}"]
    return operations.engine_options(resource, resource, target_dependents=True) if new else None


def _require(outputs: dict[str, Any], person: str, env: str) -> None:
    people = outputs.get("people") or {}
    if person not in people:
        known = ", ".join(sorted(people))
        raise InputError(
            f"{person!r} has no account in {env}",
            why=f"there are: {known}" if known else "no person has one",
            fix=f"name the person with a role in the stack file, under team.people, then: terrace up {env}",
        )


def _account(outputs: dict[str, Any], person: str) -> dict[str, str]:
    return {
        "address": outputs["endpoints"]["gateway"],
        "user": person,
        "password": outputs["people"][person],
        "certificate": outputs["connection"]["TERRACE_CA_FILE"],
    }


def _show(account: dict[str, str]) -> None:
    typer.echo(OTHER_SCREEN, nl=False)
    try:
        typer.echo("\n".join(f"{name:<12} {value}" for name, value in account.items()))
        typer.prompt(
            "\nIt isn't shown again. Enter clears the screen", default="", show_default=False, prompt_suffix=""
        )
    finally:
        typer.echo(FIRST_SCREEN, nl=False)
