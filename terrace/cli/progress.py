"""Shows a running operation: a live tree on a terminal, plain lines elsewhere, nothing where a program reads."""

from __future__ import annotations

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias

import typer

from terrace.engine.model import (
    Diagnostic,
    Event,
    OnEvent,
    RecoveryNotice,
    Step,
    StepDone,
    StepFailed,
    StepStarted,
)
from terrace.names import resource_name

if TYPE_CHECKING:
    from rich.console import RenderableType

Progress: TypeAlias = AbstractContextManager[OnEvent]

QUIET_OPS = frozenset({"same", "refresh"})
COMPONENT_PREFIXES = ("terrace:", "pulumi:pulumi:")


def watch(*, as_json: bool, title: str) -> Progress:
    """Return what shows the operation ``title``."""
    if as_json:
        return nullcontext(_ignore)
    return Tree(title) if sys.stdout.isatty() else Lines()


def _ignore(_event: Event) -> None:
    """Show nothing: the result is printed as JSON at the end."""


def _takes_time(step: Step) -> bool:
    """Return whether a provider works on it; components are only names for what is in them."""
    return step.op not in QUIET_OPS and not step.type.startswith(COMPONENT_PREFIXES)


def _worth_saying(event: Diagnostic) -> str:
    """Return the line for a message; empty for what need not be read.

    Errors are left out, as they are told at the end; of the rest, warnings, and what concerns the whole environment.
    """
    message = event.message.strip()
    if event.severity == "warning":
        return f"warning: {resource_name(event.urn)}: {message}" if event.urn else f"warning: {message}"
    return message if event.severity == "info" and not event.urn else ""


class Lines(AbstractContextManager[OnEvent]):
    """A line when a resource starts and one when it is done, in the order in which that happens."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}

    def __enter__(self) -> OnEvent:
        return self._show

    def __exit__(self, *_error: object) -> None:
        """Nothing is open."""

    def _show(self, event: Event) -> None:
        match event:
            case StepStarted(step) if _takes_time(step):
                self._started[step.urn] = time.monotonic()
                self._line("start", step)
            case StepDone(step) if _takes_time(step):
                self._line("done", step)
            case StepFailed(step):
                self._line("FAILED", step)
            case Diagnostic() if text := _worth_saying(event):
                typer.echo(text, err=True)
            case RecoveryNotice(message):
                typer.echo(f"recovered: {message}", err=True)
            case _:
                return
        sys.stdout.flush()

    def _line(self, state: str, step: Step) -> None:
        line = f"{state:<6} {step.op:<8} {resource_name(step.urn)}"
        if state != "start":
            line += f" {time.monotonic() - self._started.get(step.urn, time.monotonic()):.1f} s"
        typer.echo(line)


class Tree(AbstractContextManager[OnEvent]):
    """One line per slot, and beneath it what is running or has failed, with the seconds that it takes."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._title = title
        self._groups: dict[str, _Group] = {}
        self._activity: dict[str, str] = {}
        self._live = Live(console=Console(), get_renderable=self._render, refresh_per_second=4)

    def __enter__(self) -> OnEvent:
        self._live.start()
        return self._show

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()

    def _show(self, event: Event) -> None:
        match event:
            case StepStarted(step) if _takes_time(step):
                self._group(step).running[step.urn] = time.monotonic()
            case StepDone(step):
                self._group(step).end(step)
            case StepFailed(step):
                self._group(step).fail(step)
            case Diagnostic() if text := _worth_saying(event):
                self._print(text)
            case Diagnostic():
                self._activity[event.urn] = next(iter(event.message.strip().splitlines()), "")
            case RecoveryNotice(message):
                self._print(f"recovered: {message}")
            case _:
                pass

    def _print(self, text: str) -> None:
        self._live.console.print(text, markup=False, highlight=False, style="yellow")

    def _group(self, step: Step) -> _Group:
        return self._groups.setdefault(resource_name(step.urn).group, _Group())

    def _render(self) -> RenderableType:
        from rich.markup import escape
        from rich.tree import Tree as RichTree

        tree = RichTree(self._title, guide_style="dim")
        now = time.monotonic()
        for name, group in list(self._groups.items()):
            branch = tree.add(f"{group.mark} {name} [dim]{group.summary}[/dim]")
            for urn, started in list(group.running.items()):
                doing = escape(self._activity.get(urn, ""))
                branch.add(f"[cyan]…[/cyan] {resource_name(urn).name} {now - started:.0f} s [dim]{doing}[/dim]")
            for urn in group.failed:
                branch.add(f"[red]✗ {resource_name(urn).name}[/red]")
        return tree


class _Group:
    """What happened in one slot so far."""

    def __init__(self) -> None:
        self.running: dict[str, float] = {}
        self.failed: list[str] = []
        self.changed = 0
        self.unchanged = 0
        self.seconds = 0.0

    def end(self, step: Step) -> None:
        self.running.pop(step.urn, None)
        self.seconds += step.duration
        if step.op in QUIET_OPS:
            self.unchanged += 1
        else:
            self.changed += 1

    def fail(self, step: Step) -> None:
        self.running.pop(step.urn, None)
        self.failed.append(step.urn)

    @property
    def mark(self) -> str:
        if self.failed:
            return "[red]✗[/red]"
        return "[cyan]…[/cyan]" if self.running else "[green]✓[/green]"

    @property
    def summary(self) -> str:
        parts = [f"{self.changed} done"] if self.changed else []
        parts += [f"{self.unchanged} unchanged"] if self.unchanged else []
        parts += [f"{self.seconds:.1f} s"] if self.seconds else []
        return ", ".join(parts)
