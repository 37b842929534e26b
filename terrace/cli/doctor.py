"""`terrace doctor`: what this machine, or a cluster, lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Environment, ProjectFolder, project_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from terrace.doctor import Check


def doctor(env: Environment = "local", project: ProjectFolder = None, as_json: AsJson = False) -> None:
    """Say what this machine, the spec's hosts, or its cluster lack, and how to get it.

    Changes nothing. Exits with 1 when something necessary is missing.

    Example: terrace doctor local
    """
    from dataclasses import asdict

    from terrace import fleet
    from terrace.cli import results

    checks = fleet.checks(project_root(project), env)
    if as_json:
        results.print_json({"env": env, "checks": [asdict(check) for check in checks]})
    else:
        _print(checks)
    if any(check.necessary and not check.ok for check in checks):
        raise typer.Exit(FAILED)


def _print(checks: Sequence[Check]) -> None:
    for check in checks:
        mark = ("ok", typer.colors.GREEN) if check.ok else ("LACKS", typer.colors.RED)
        if not check.ok and not check.necessary:
            mark = ("could", typer.colors.YELLOW)
        typer.secho(f"{mark[0]:<6}", fg=mark[1], nl=False)
        typer.echo(f"{check.name:<14} {check.found}")
        if check.fix:
            typer.echo(f"{'':<21}fix: {check.fix}")
