"""`terrace diff`: how two environments differ, and whether they may."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, ProjectFolder, project_root

if TYPE_CHECKING:
    from terrace.differences import Difference


def diff(
    left: Annotated[str, typer.Argument(help="An environment.")],
    right: Annotated[str, typer.Argument(help="The environment to compare it with.")],
    project: ProjectFolder = None,
    as_json: AsJson = False,
) -> None:
    """Show in what two environments' stack files differ.

    Exits with 1 when they differ in a key that stacks/differences.yaml doesn't allow.

    Example: terrace diff staging prod
    """
    from terrace import config
    from terrace.cli import results
    from terrace.differences import AllowedDifferences, compare

    root = project_root(project)
    found = compare(config.load(root, left), config.load(root, right), AllowedDifferences.load(root))
    if as_json:
        results.print_json({"differences": [asdict(each) | {"allowed": each.allowed} for each in found]})
    else:
        _print(left, right, found)
    if not all(each.allowed for each in found):
        raise typer.Exit(FAILED)


def _print(left: str, right: str, found: list[Difference]) -> None:
    if not found:
        typer.echo(f"{left} and {right} do not differ")
    for each in found:
        typer.secho(f"{each.path}: {_text(each.left)} in {left}, {_text(each.right)} in {right}", bold=not each.allowed)
        if each.allowed:
            typer.secho(f"  allowed: {each.why}", dim=True)
        else:
            typer.secho("  not allowed: make them the same, or add the path to stacks/differences.yaml", fg="red")


def _text(value: object) -> str:
    return "absent" if value is None else str(value)
