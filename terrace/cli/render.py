"""`terrace render`: the platform's objects as files, for GitOps."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Environment, ProjectFolder, project_root

if TYPE_CHECKING:
    from terrace.rendered_folder import Changes
    from terrace.rendering import Rendering

LOOKS = {"added": ("+", typer.colors.GREEN), "changed": ("~", typer.colors.YELLOW), "removed": ("-", typer.colors.RED)}


def render(
    env: Environment,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="DIR", help="The folder; it's made if need be.", show_default=False),
    ],
    project: ProjectFolder = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit with 1 and a diff where DIR isn't up to date.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write an environment's Kubernetes objects into a folder, one a file, for Argo CD, Flux, or kubectl.

    Needs no cluster, no network, and no secret, and writes none: Secrets are named in DIR/secrets.txt, and made in the
    cluster by `terrace up ENV --target secrets`. The same stack file gives the same files; only changed ones are
    written, those of objects that are gone go, and your own stay.

    Example: terrace render prod -o deploy/prod
    """
    from terrace import rendered_folder, rendering
    from terrace.cli import results

    found = rendering.render(project_root(project), env)
    changes = rendered_folder.compare(found, output) if check else rendered_folder.write(found, output)
    for warning in found.warnings:
        typer.secho(f"warning: {warning}", fg=typer.colors.YELLOW, err=True)
    if as_json:
        done = {name: list(getattr(changes, name)) for name in (*LOOKS, "unchanged")}
        diff = {"diff": changes.diff} if check else {}
        results.print_json({"env": env, "folder": str(output), **done, **found.document(), **diff})
    else:
        _print(found, changes, output, check=check)
    if check and changes:
        raise typer.Exit(FAILED)


def _print(found: Rendering, changes: Changes, folder: Path, *, check: bool) -> None:
    if check:
        typer.echo(changes.diff, nl=False)
    for name, (symbol, color) in LOOKS.items():
        for file in getattr(changes, name):
            typer.secho(f"{symbol} {file}", fg=color)
    counts = ", ".join(f"{len(getattr(changes, name))} {name}" for name in (*LOOKS, "unchanged"))
    if check:
        again = f"; bring it up to date: terrace render {found.environment} -o {folder}" if changes else ""
        typer.echo(f"{folder}: {'not up to date' if changes else 'up to date'}{again}")
        return
    typer.echo(f"{folder}: {counts}")
    typer.echo(f"{len(found.left_out)} objects hold what no file may hold, and are named in {folder}/secrets.txt;")
    typer.echo(f"make them in the cluster before it has the files: {found.command}")
