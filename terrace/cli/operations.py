"""What `preview`, `up`, `refresh`, and `destroy` have in common."""

from __future__ import annotations

import dataclasses
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import typer

from terrace.cli import progress, results
from terrace.cli.errors import FAILED, stopped_code
from terrace.cli.options import (
    COMPONENTS,
    HOSTS,
    EngineName,
    is_urn,
    project_root,
    require_known,
    target_patterns,
    urn_pattern,
)
from terrace.engine.model import OnEvent, Result
from terrace.engine.options import PARALLEL, Options
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.engine.judge import Judge
    from terrace.engine.passphrase import Passphrase
    from terrace.engine.project import Project
    from terrace.engine.stack import Stack as EmbeddedStack
    from terrace.spec import PlatformSpec, Running


class Stack(Protocol):
    """What both engines offer."""

    def preview(self, *, on_event: OnEvent | None = None, options: Options = ...) -> Result:
        """Find out what would change."""

    def up(self, *, on_event: OnEvent | None = None, options: Options = ...) -> Result:
        """Make it so."""

    def refresh(self, *, on_event: OnEvent | None = None, options: Options = ...) -> Result:
        """Bring the state in line with what is really there."""

    def destroy(self, *, on_event: OnEvent | None = None, options: Options = ...) -> Result:
        """Remove everything."""

    def import_(self, *, on_event: OnEvent | None = None, options: Options = ...) -> Result:
        """Take what is there already into the state."""

    def cancel(self) -> object:
        """Take back the lock of an operation that died."""

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs."""


@dataclass(frozen=True)
class Session:
    """One command's run on one environment.

    Attributes:
        env: The environment.
        project: The project, with the backend that the environment asks for.
        stack: The environment's stack on the engine that was asked for.
        as_json: Whether a program reads what is printed.
        options: How operations are to be done.
    """

    env: str
    project: Project
    stack: Stack
    as_json: bool = False
    options: Options = field(default_factory=Options)

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.project.root

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs, with paths of this machine."""
        from terrace.trust import with_own_certificate

        return with_own_certificate(self.project.name, self.env, self.stack.outputs(show_secrets=show_secrets))

    def run(self, operation: str) -> Result:
        """Run one of the stack's operations, show its progress, and return its result."""
        with progress.watch(as_json=self.as_json, title=f"{operation} {self.env}") as show:
            call: Callable[..., Result] = getattr(self.stack, "import_" if operation == "import" else operation)
            result = call(on_event=show, options=self.options)
        if result.ok:
            named = (*self.options.targets, *self.options.replace)
            require_known(named, {step.urn for step in result.steps})
        return result

    def change(self, operation: str) -> Result:
        """Run an operation that changes things, print how it ended, and exit where it failed."""
        from terrace.cli.audited import audited

        start = time.monotonic()
        about = ", ".join((*self.options.targets, *(each.id for each in self.options.imports))) or "platform"
        with audited(self, operation, about, send_first=operation == "destroy") as note:
            result = self.run(operation)
            note.detail = _detail(result)
            if self.as_json:
                results.print_json(results.result_document(self.env, result))
            elif result.ok or result.summary:
                results.print_summary(result, time.monotonic() - start)
            self.exit_on_failure(operation, result)
        return result

    def exit_on_failure(self, operation: str, result: Result) -> None:
        """Print what failed and exit, unless nothing did."""
        if result.ok:
            return
        again = "" if operation == "preview" else f"terrace {operation} {self.env}"
        results.report_failure(result, again, as_json=self.as_json)
        raise typer.Exit(stopped_code() if result.interrupted else FAILED)


def _detail(result: Result) -> str:
    """Return what the audit log is told of an operation: how much it did, and from which commit."""
    source = result.outputs.get("source")
    commit = source.get("commit") if isinstance(source, dict) else None
    return results.summary_line(result, results.DONE_WORDS) + (f"; commit {commit}" if commit else "")


def open_session(
    env: str,
    project: Path | None,
    engine: EngineName | None = None,
    *,
    as_json: bool = False,
    runs_program: bool = False,
    options: Options | None = None,
) -> Session:
    """Find the project and the stack; nothing is run yet.

    Args:
        env: The environment.
        project: The project's folder, where it was named.
        engine: The engine, where it was named.
        as_json: Whether a program reads what is printed.
        runs_program: Whether the operation runs the Pulumi program, so that the whole blueprint must be right.
        options: How operations are to be done.

    Raises:
        InputError: There is no such project or environment, or its files are wrong.
    """
    from terrace import config
    from terrace.engine.project import Project

    root = project_root(project)
    chosen_options = options or Options()
    spec = _checked(root, env, as_json=as_json) if runs_program else None
    running: Running = spec or config.load_running(root, env)
    if spec and len(spec.hosts) > 1:  # one that can't be reached keeps none of the others waiting
        chosen_options = dataclasses.replace(chosen_options, continue_on_error=True)
    found = Project.load(root)
    if running.backend and "PULUMI_BACKEND_URL" not in os.environ:
        found = dataclasses.replace(found, backend_url=running.backend)
    chosen = engine or EngineName(running.engine)
    return Session(env, found, _stack(chosen, found, env, spec), as_json, chosen_options)


def _checked(root: Path, env: str, *, as_json: bool) -> PlatformSpec:
    """Check the whole blueprint, and say who of the team gets no access by it."""
    from terrace import config, resolve
    from terrace.cli.team import print_powerless

    blueprint = resolve.resolve(config.load(root, env))
    if not as_json:
        print_powerless(blueprint)
        results.print_uncovered(blueprint)
    return blueprint.spec


def engine_options(
    target: list[str] | None = None,
    replace: list[str] | None = None,
    *,
    target_dependents: bool = False,
    refresh: bool = False,
    parallel: int = PARALLEL,
    continue_on_error: bool = False,
    with_components: bool = False,
) -> Options:
    """Return the engine's options for what the user asked for.

    ``with_components`` has the components that targets are in, and their hosts, made too, unless the user names URNs.
    """
    targets = [pattern for each in target or () for pattern in target_patterns(each)]
    if with_components and not target_dependents and not all(map(is_urn, target or ())):
        targets += (COMPONENTS, HOSTS)
    return Options(
        parallel=parallel,
        continue_on_error=continue_on_error,
        refresh=refresh,
        targets=tuple(targets),
        target_dependents=target_dependents,
        replace=tuple(map(urn_pattern, replace or ())),
    )


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


def _stack(engine: EngineName, project: Project, env: str, spec: PlatformSpec | None) -> Stack:
    """Return the stack; rules look at what is planned where ``spec`` says what they are told of the environment."""

    def passphrase() -> Passphrase:
        return _passphrase(project, env)

    judge = None
    if spec is not None:
        from terrace.compliance import engine_judge

        judge = engine_judge(spec, env)
    if engine is EngineName.pulumi:
        from terrace.pulumi_cli import PulumiStack

        return PulumiStack(project, env, passphrase, judge)
    return embedded(project, env, judge)


def embedded(project: Project, env: str, judge: Judge | None = None) -> EmbeddedStack:
    """Return the environment's stack on the embedded engine; ``judge`` sees what is planned before it is done."""
    from terrace.engine.stack import Stack as EmbeddedStack

    return EmbeddedStack(project, env, passphrase=lambda: _passphrase(project, env).value, judge=judge)


def _passphrase(project: Project, env: str) -> Passphrase:
    """Find what opens the environment's secrets; the first time, make it and say so."""
    from terrace.engine.passphrase import find_passphrase

    encrypted = "encryptionsalt:" in project.stack_file(env).read_text(encoding="utf-8")
    found = find_passphrase(project.name, env, has_secrets=encrypted)
    if found.made:
        typer.echo(
            f"made a passphrase for {env}'s secrets, in {found.source}; keep it, and keep it out of Git", err=True
        )
    return found
