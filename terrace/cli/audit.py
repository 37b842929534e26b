"""`terrace audit`: who did what, and whether the record of it is whole."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.audit import AuditLog
    from terrace.cli.operations import Session

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def audit(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    since: Annotated[
        str, typer.Option("--since", metavar="TIME", help="From when on: 2h, 7d, 2026-11-24, or a whole time in UTC.")
    ] = "",
    actor: Annotated[str, typer.Option("--actor", help="What this account or user did.")] = "",
    action: Annotated[str, typer.Option("--action", help="This alone: login, up, predict, …")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=5000, help="The last so many records.")] = 50,
    verify: Annotated[
        bool, typer.Option("--verify", help="Verify the whole log instead; exits with 1 where it was tampered with.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show who did what on the platform, or verify that nobody has tampered with the record of it.

    Example: terrace audit local --since 7d --action login
    """
    from terrace.audit import AuditLog, Journal
    from terrace.cli import operations

    begun = _since(since)
    session = operations.open_session(env, project, engine, as_json=as_json)
    log = AuditLog.require(env, session.outputs(show_secrets=True))
    journal = Journal.of(session.project, env)
    journal.send(log)
    if verify:
        _verify(session, log)
    else:
        _show(log.find(begun, actor, action, limit), as_json=as_json)


def _verify(session: Session, log: AuditLog) -> None:
    from dataclasses import asdict

    from terrace.audit import Anchors
    from terrace.cli import results

    found = log.verify(Anchors.of(session.project, session.env))
    if session.as_json:
        results.print_json({"env": session.env, **asdict(found)})
    elif not found.problems:
        typer.echo(f"{session.env}: all is in order, up to record {found.sequence}")
    for problem in () if session.as_json else found.problems:
        typer.secho(problem, fg=typer.colors.RED)
    if found.problems:
        raise typer.Exit(FAILED)


def _show(records: list[dict[str, Any]], *, as_json: bool) -> None:
    from terrace.cli import results

    if as_json:
        results.print_json(records)
        return
    for one in records:
        times = f", {one['count']} times" if "count" in one else ""
        detail = f"  ({one['detail']})" if "detail" in one else ""
        about = f"{one['action']} {one.get('object', '')}".strip()
        typer.echo(f"{one['time'][:19]}  {one['actor']:<18} {one['outcome']:<8} {about}{times}{detail}")


def _since(given: str) -> str:
    """Return the time in UTC as records have it, or its beginning."""
    if found := re.fullmatch(r"(\d{1,5})([mhd])", given):
        then = datetime.now(UTC) - timedelta(**{UNITS[found[2]]: int(found[1])})
        return then.isoformat("T", "milliseconds")
    if given and not re.fullmatch(r"\d{4}-\d\d-\d\d(T[\d:.]*)?", given):
        raise InputError(f"--since {given!r} is no time", fix="write it like 2h, 7d, 2026-11-24, or 2026-11-24T08:30")
    return given
