"""`terrace team`: who may do what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from terrace.cli.options import AsJson, Environment, ProjectFolder, project_root

if TYPE_CHECKING:
    from terrace.resolve import Blueprint
    from terrace.team import Member


def team(env: Environment = "local", project: ProjectFolder = None, as_json: AsJson = False) -> None:
    """Show the people of the team with their groups, roles, and rights.

    It shows what the stack file says; `terrace up` makes it so.

    Example: terrace team local
    """
    import dataclasses

    from terrace import config, resolve
    from terrace.cli import results

    blueprint = resolve.resolve(config.load(project_root(project), env))
    if as_json:
        people = [dataclasses.asdict(member) for member in blueprint.members]
        results.print_json({"env": env, "people": people})
        return
    if not blueprint.members:
        typer.echo(f"{env} has no people; name them in its stack file, under team.people")
    for member in blueprint.members:
        _print(member)
    print_powerless(blueprint)


def print_powerless(blueprint: Blueprint) -> None:
    """Say who is on the team and gets no access at all, for want of a role."""
    for member in blueprint.members:
        if not member.rights:
            typer.secho(f"note: {member.name} has no role, and so gets no access to {blueprint.environment}", err=True)


def _print(member: Member) -> None:
    typer.secho(member.name, bold=True, nl=False)
    typer.echo(f"  {', '.join(member.roles) or 'no role'}", nl=False)
    typer.secho(f"  (groups: {', '.join(member.groups)})" if member.groups else "", dim=True)
    for slot, right in member.rights.items():
        typer.echo(f"  {slot:<16} {right}")
