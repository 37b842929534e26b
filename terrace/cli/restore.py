"""`terrace restore`: bring a backup back."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, BackupsHost, Engine, Environment, ProjectFolder, Yes
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.backup import Backups, Request
    from terrace.cli.operations import Session

PASSWORD = "TERRACE_BACKUP_PASSWORD"  # noqa: S105  # the variable's name

Place = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="PLACE",
        help="A folder with backups, or USER@ADDRESS:/FOLDER on the machine of the platform's own place. "
        "[default: the platform's own]",
    ),
]

PasswordFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help=f"Holds the password of another platform's backups; or set {PASSWORD}. [default: the platform's own]",
    ),
]


def restore(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    host: BackupsHost = None,
    place: Place = None,
    snapshot: Annotated[
        str | None, typer.Option(metavar="ID", help="Which backup, by its id. [default: the last one]")
    ] = None,
    password_file: PasswordFile = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Replace databases and files by those of a backup, and start all services on them.

    The platform has to be up; on a new machine, bring it up first. With several hosts, the backup is named by its id on
    the host of the databases, and the others bring back the one that they made next.

    Example: terrace restore prod --from /mnt/backups --password-file old-password
    """
    from terrace import backup as library
    from terrace.cli import operations
    from terrace.cli.audited import audited

    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True)
    found = library.Backups.of(env, session.outputs(), host)
    request = library.Request(_whole(place) if place else None, snapshot, _password(password_file))
    plan = found.plan(request)
    if host and plan["databases"]:
        raise InputError(f"{host} has the databases, which services of other hosts use", fix="leave --host out")
    for one in () if as_json else (plan, *plan["others"]):
        _print_plan(one, older=_moment(one) < _moment(plan))
    # What `up` would be refused for is told before anything is replaced, and not when all services are stopped.
    session.exit_on_failure("preview", session.run("preview"))
    if operations.require_yes(session, "restore", yes=yes):
        operations.ask(f"Replace the data of {env}?")
    with audited(session, "restore", f"backup {plan['id']} of {plan['environment']}", send_first=True):
        _carry_out(session, found, request, plan)


def _carry_out(session: Session, backups: Backups, request: Request, plan: Mapping[str, Any]) -> None:
    from terrace import fleet
    from terrace.cli import results
    from terrace.cli.backup import Steps
    from terrace.cli.status import print_table

    backups.restore(request, plan, Steps(as_json=session.as_json).show)
    if os.geteuid() != 0:
        session.run("refresh")  # only root sees at once that services wait for `up`
    session.exit_on_failure("up", session.run("up"))
    found = fleet.examine(session.env, session.outputs())
    if session.as_json:
        results.print_json({"environment": session.env, "restored": plan, "status": found.document()})
    else:
        print_table(found)
    if not found.healthy:
        raise typer.Exit(FAILED)


def _whole(place: str) -> str:
    """Return a folder of this machine as a whole path; one of another machine is whole already."""
    return place if re.match(r"[\w.-]+@[\w.-]+:/", place) else str(Path(place).resolve())


def _password(file: Path | None) -> str | None:
    if file is None:
        return os.environ.get(PASSWORD)
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise InputError("the password can't be read", where=str(file), why=error.strerror) from None


def _moment(plan: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(plan["time"])


def _print_plan(plan: Mapping[str, Any], *, older: bool) -> None:
    where = f"{plan['host']}: " if "host" in plan else ""
    about = f"backup {plan['id']} of {plan['environment']}, made {plan['time'][:19]}, in {plan['repository']}"
    typer.echo(where + about + (", BEFORE that of the databases" if older else ""))
    if plan["databases"]:
        typer.echo(f"  replaces the databases {', '.join(plan['databases'])}")
    for folder in plan["folders"]:
        typer.echo(f"  replaces {folder}")
    for folder in plan["kept"]:
        typer.echo(f"  keeps {folder} as it is: what it holds is only ever added to")
    for left in plan["left_out"]:
        typer.echo(f"  leaves out {left}: this platform has no place for it")
