"""`terrace new`: a stack file for another environment."""

from __future__ import annotations

from typing import Annotated

import typer

from terrace.cli.options import ProjectFolder, project_root


def new(
    env: Annotated[str, typer.Argument(metavar="ENV", help="The new environment.", show_default=False)],
    like: Annotated[str, typer.Option("--like", metavar="ENV", help="The environment to start from.")] = "local",
    tier: Annotated[int | None, typer.Option("--tier", min=1, max=5, help="Its tier. [default: the same]")] = None,
    project: ProjectFolder = None,
) -> None:
    """Make a stack file for another environment, with secrets and ports of its own.

    Example: terrace new qa --tier 2
    """
    from terrace import config, new_environment
    from terrace.errors import InputError

    root = project_root(project)
    config.check_name(env)
    file = root / "stacks" / f"Pulumi.{env}.yaml"
    text = new_environment.stack_file_like(root, like, tier=tier)
    try:
        with file.open("x", encoding="utf-8") as made:
            made.write(text)
    except FileExistsError:
        raise InputError(f"{env} is there already", where=str(file), fix="choose another name") from None
    typer.echo(f"made {file}; look it through, then: terrace up {env}")
