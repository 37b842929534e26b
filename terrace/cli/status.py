"""`terrace status`: how the services are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder

if TYPE_CHECKING:
    from terrace.provenance import Source
    from terrace.status import Health, Status


def status(
    env: Environment = "local", project: ProjectFolder = None, engine: Engine = None, as_json: AsJson = False
) -> None:
    """Ask every service how it is.

    Exits with 1 when one isn't healthy.

    Example: terrace status local --json
    """
    from terrace import fleet as library
    from terrace.cli import operations, results
    from terrace.provenance import source_of

    session = operations.open_session(env, project, engine, as_json=as_json)
    found = library.examine(env, session.outputs())
    here = source_of(session.root, env)
    if as_json:
        results.print_json(found.document() | {"checkout": here.document(), "current": here.same(found.deployed)})
    elif not found.services:
        typer.echo(f"{env} isn't up; bring it up with: terrace up {env}")
    else:
        print_table(found)
        print_source(found, here)
    if not found.healthy:
        raise typer.Exit(FAILED)


def print_table(found: Status) -> None:
    """Print a line per service: slot, name, health, address. Nothing is cut off: addresses are there to be copied."""
    typer.echo(f"{found.env}: tier {found.tier}, target {found.target}")
    rows = [
        (service.slot, _name(service), "healthy" if service.healthy else "DOWN", service.url, service.detail)
        for service in found.services
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        cells[2] = typer.style(cells[2], fg="green" if row[2] == "healthy" else "red")
        typer.echo("  ".join(cells) + "  " + typer.style(row[4], dim=True))


def print_source(found: Status, here: Source) -> None:
    """Say which commit the environment was brought up from, and whether this checkout is still the same."""
    if found.deployed is None:
        typer.echo(f"nothing says what it was deployed from; the next terrace up {found.env} does")
    elif here.same(found.deployed):
        typer.echo(f"deployed from {found.deployed}; this checkout is the same")
    else:
        typer.secho(
            f"deployed from {found.deployed}; this checkout, {here}, differs: terrace up {found.env}", fg="yellow"
        )


def _name(service: Health) -> str:
    return service.name if service.name == service.flavor else f"{service.name} ({service.flavor})"
