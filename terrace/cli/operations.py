"""What `preview`, `up`, `refresh`, and `destroy` have in common."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from terrace.cli import progress, results
from terrace.cli.errors import FAILED, INTERRUPTED
from terrace.cli.options import EngineName, project_root
from terrace.engine.model import OnEvent, Result
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.engine.passphrase import Passphrase
    from terrace.engine.project import Project


class Stack(Protocol):
    """What both engines offer."""

    def preview(self, on_event: OnEvent) -> Result:
        """Find out what would change."""

    def up(self, on_event: OnEvent) -> Result:
        """Make it so."""

    def refresh(self, on_event: OnEvent) -> Result:
        """Bring the state in line with what is really there."""

    def destroy(self, on_event: OnEvent) -> Result:
        """Remove everything."""

    def cancel(self) -> None:
        """Take back the lock of an operation that died."""

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs."""


@dataclass(frozen=True)
class Session:
    """One command's run on one environment.

    Attributes:
        env: The environment.
        root: The project's folder.
        stack: The environment's stack on the engine that was asked for.
        as_json: Whether a program reads what is printed.
    """

    env: str
    root: Path
    stack: Stack
    as_json: bool = False

    def run(self, operation: str) -> Result:
        """Run one of the stack's operations, show its progress, and return its result."""
        with progress.watch(as_json=self.as_json, title=f"{operation} {self.env}") as show:
            call: Callable[[OnEvent], Result] = getattr(self.stack, operation)
            return call(show)

    def change(self, operation: str) -> Result:
        """Run an operation that changes things, print how it ended, and exit where it failed."""
        start = time.monotonic()
        result = self.run(operation)
        if self.as_json:
            results.print_json(results.result_document(self.env, result))
        else:
            results.print_summary(result, time.monotonic() - start)
        self.exit_on_failure(operation, result)
        return result

    def exit_on_failure(self, operation: str, result: Result) -> None:
        """Print what failed and exit, unless nothing did."""
        if result.ok:
            return
        results.report_failure(result, f"terrace {operation} {self.env}", as_json=self.as_json)
        raise typer.Exit(INTERRUPTED if result.interrupted else FAILED)


def open_session(env: str, project: Path | None, engine: EngineName | None = None, *, as_json: bool = False) -> Session:
    """Find the project and the stack; nothing is run yet.

    Raises:
        InputError: There is no such project or environment, or its files are wrong.
    """
    from terrace.engine.passphrase import find_passphrase
    from terrace.engine.project import Project

    root = project_root(project)
    found = Project.load(root)
    stack_file = found.stack_file(env)
    if not stack_file.is_file():
        raise InputError(f"there is no environment {env!r}", where=str(stack_file), fix=_environments(stack_file))
    chosen = engine or default_engine(root, env)
    passphrase = find_passphrase(found.name, env, has_secrets="encryptionsalt:" in stack_file.read_text("utf-8"))
    if passphrase.made:
        typer.echo(f"made the passphrase of {env}'s secrets: {passphrase.source} (keep it; not in Git)", err=True)
    return Session(env, root, _stack(chosen, found, env, passphrase), as_json)


def default_engine(root: Path, env: str) -> EngineName:
    """Return the engine that the environment's stack file asks for."""
    from terrace import config

    return EngineName(config.load(root, env).engine)


def require_yes(session: Session, operation: str, *, yes: bool) -> bool:
    """Return whether to ask before changing anything: on a terminal, unless ``--yes`` was said.

    Raises:
        InputError: It wasn't said and there is nobody to ask.
    """
    if yes:
        return False
    if session.as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError(
            f"`terrace {operation}` changes things, and there is no terminal to ask on",
            fix=f"say so: terrace {operation} {session.env} --yes",
        )
    return True


def ask(question: str) -> None:
    """Ask for a yes; anything else ends the command."""
    if not typer.confirm(question):
        raise typer.Exit(FAILED)


def _stack(engine: EngineName, project: Project, env: str, passphrase: Passphrase) -> Stack:
    if engine is EngineName.pulumi:
        from terrace.pulumi_cli import PulumiStack

        return PulumiStack(project, env, passphrase)
    from terrace.engine.stack import Stack as EmbeddedStack

    return EmbeddedStack(project, env, passphrase=passphrase.value)


def _environments(stack_file: Path) -> str:
    names = sorted(path.name.split(".")[1] for path in stack_file.parent.glob("Pulumi.*.yaml"))
    return f"name one of: {', '.join(names)}" if names else "make the file"
