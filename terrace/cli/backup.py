"""`terrace backup`: back the platform's data up, and list backups."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import typer

from terrace.cli.options import AsJson, BackupsHost, Engine, Environment, ProjectFolder


def backup(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    host: BackupsHost = None,
    show: Annotated[bool, typer.Option("--list", help="List the backups that there are; make none.")] = False,
    as_json: AsJson = False,
) -> None:
    """Back up databases, artifacts, and configuration of all hosts now, beside the nightly backups.

    Example: terrace backup prod --list
    """
    from terrace import backup as library
    from terrace.cli import operations, results
    from terrace.cli.audited import audited

    session = operations.open_session(env, project, engine, as_json=as_json)
    found = library.Backups.of(env, session.outputs(), host)
    if show:
        backups = found.backups()
        if as_json:
            results.print_json({"environment": env, "backups": backups})
        else:
            print_backups(backups)
        return
    with audited(session, "backup", "databases, files, and configuration") as note:
        made = found.back_up(Steps(as_json=as_json).show)
        note.detail = f"backup {made['id']}"
    if as_json:
        results.print_json({"environment": env, "backup": made})
    else:
        for one in (made, *made["others"]):
            _print_made(one)


def _print_made(made: Mapping[str, Any]) -> None:
    sizes = f"{size(made['bytes'])}, of which {size(made['added_bytes'])} are new"
    where = f"{made['host']}: " if "host" in made else ""
    typer.echo(f"{where}backup {made['id']} in {made['repository']}: {sizes}; {made['seconds']:.1f} s")


def print_backups(backups: Iterable[Mapping[str, Any]]) -> None:
    """Print a line per backup: id, time, size, duration, and the host where there are several."""
    for one in backups:
        seconds = "" if one["seconds"] is None else f"{one['seconds']:.1f} s"
        line = f"{one['id']}  {one['time'][:19]}  {size(one['bytes']):>10}  {seconds:>10}  {one.get('host', '')}"
        typer.echo(line.rstrip())


def size(number: int | None) -> str:
    """Return a number of bytes for people; empty for an unknown one."""
    if number is None:
        return ""
    value, units = float(number), iter(("B", "KiB", "MiB", "GiB"))
    unit = next(units)
    while value >= 1024 and (following := next(units, None)):
        value, unit = value / 1024, following
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


class Steps:
    """Shows the steps of a backup or a restore: a line each, on a terminal with its percentage."""

    def __init__(self, *, as_json: bool) -> None:
        self._silent = as_json
        self._step = ""

    def show(self, step: str, percent: float | None) -> None:
        """Show where it is."""
        if self._silent:
            return
        if step != self._step:
            typer.echo(f"  {step}")
            self._step = step
        elif percent is not None and sys.stdout.isatty():
            typer.echo(f"  {step} {percent:.0f} %", nl=False)
            typer.echo("\r", nl=False)
