"""`terrace encrypt`: make a secret for the stack file."""

from __future__ import annotations

import sys

import typer

from terrace.cli.options import Environment, ProjectFolder, project_root
from terrace.errors import InputError


def encrypt(env: Environment = "local", project: ProjectFolder = None) -> None:
    """Encrypt a secret, to be put into the stack file.

    Asks for it, or reads it from standard input; prints what to write in its place. As `pulumi config set --secret`,
    it makes the stack's passphrase, and writes its `encryptionsalt` into the file, where there is none yet.

    Example: terrace encrypt local < password.txt
    """
    from terrace import config
    from terrace.cli import operations
    from terrace.engine.project import Project

    # Not the spec itself: it may be wrong just because a secret of it still stands in the clear.
    root = project_root(project)
    if env not in (known := config.environments(root)):
        raise InputError(f"there is no environment {env!r}", fix=f"one of: {', '.join(known)}")
    text = typer.prompt("Secret", hide_input=True) if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not text:
        raise InputError("there is nothing to encrypt", fix="type the secret, or give it on standard input")
    typer.echo(f"{{secure: {operations.embedded(Project.load(root), env).encrypt(text)}}}")
