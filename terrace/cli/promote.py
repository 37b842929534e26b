"""`terrace promote`: a version into production."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.options import AsJson, Engine, ProjectFolder

if TYPE_CHECKING:
    from terrace.models import Moved

ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="The registered model's name.")]
NamedEnvironment = Annotated[
    str, typer.Argument(metavar="ENV", help="The environment; its file is stacks/Pulumi.<ENV>.yaml.")
]


def promote(
    env: NamedEnvironment,
    model: ModelName,
    version: Annotated[
        str | None, typer.Argument(metavar="VERSION", help="The version. [default: the candidate]", show_default=False)
    ] = None,
    project: ProjectFolder = None,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Put a version into production and wait until it is served; no request is lost.

    Where it can't be served, the version before stays, and its alias with it.

    Example: terrace promote local flights-delay 7
    """
    from terrace.cli import operations
    from terrace.cli.audited import audited, person
    from terrace.models import Models

    session = operations.open_session(env, project, engine, as_json=as_json)
    with audited(session, "promote", f"{model} version {version or 'of the candidate'}") as note:
        moved = Models(env, session.outputs(show_secrets=True)).promote(model, version, person())
        note.detail = f"version {moved.version} in place of {moved.previous or 'none'}"
    print_moved(moved, as_json=as_json)


def print_moved(moved: Moved, *, as_json: bool) -> None:
    """Print what was done."""
    from terrace.cli import results

    if as_json:
        results.print_json(asdict(moved))
    else:
        instead = f" in place of {moved.previous}" if moved.previous not in (None, moved.version) else ""
        typer.echo(f"{moved.model} version {moved.version} is served{instead} ({moved.seconds:.1f} s)")
