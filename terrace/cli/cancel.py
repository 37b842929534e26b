"""`terrace cancel`: take back the lock of an operation that died."""

from __future__ import annotations

import typer

from terrace.cli.options import Engine, Environment, ProjectFolder


def cancel(env: Environment = "local", project: ProjectFolder = None, engine: Engine = None) -> None:
    """Take back the lock of an operation that died.

    Do it only when no operation is running.

    Example: terrace cancel local
    """
    from terrace.cli import operations

    operations.open_session(env, project, engine).stack.cancel()
    typer.echo(f"{env} is free for the next operation")
