"""`terrace status`: how the services are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder

if TYPE_CHECKING:
    from terrace.status import Status


def status(
    env: Environment = "local", project: ProjectFolder = None, engine: Engine = None, as_json: AsJson = False
) -> None:
    """Ask every service how it is.

    Exits with 1 when one isn't healthy.

    Example: terrace status local --json
    """
    from terrace import status as library
    from terrace.cli import operations, results

    session = operations.open_session(env, project, engine, as_json=as_json)
    found = library.examine(env, session.stack.outputs())
    if as_json:
        results.print_json(found.document())
    elif not found.services:
        typer.echo(f"{env} isn't up; bring it up with: terrace up {env}")
    else:
        print_table(found)
    if not found.healthy:
        raise typer.Exit(FAILED)


def print_table(found: Status) -> None:
    """Print a line per service: slot, name, health, address."""
    from rich.console import Console
    from rich.table import Table

    table = Table("slot", "service", "health", "address", box=None, pad_edge=False)
    for service in found.services:
        health = f"[green]healthy[/green] {service.detail}" if service.healthy else f"[red]DOWN[/red] {service.detail}"
        table.add_row(service.slot, f"{service.name} ({service.flavor})", health, service.url)
    console = Console()
    console.print(f"{found.env}: tier {found.tier}, target {found.target}")
    console.print(table, soft_wrap=True)
