"""`terrace demo`: the platform with a real project on it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from terrace.cli.errors import FAILED
from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder, Yes

if TYPE_CHECKING:
    from components.pipelines.programs.contract.records import Run, StepRun
    from terrace.cli.operations import Session
    from terrace.status import Status

EXAMPLE = ("examples", "flights")


def demo(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the platform up and run a real ML project through it.

    Ends with each service's address and health, the model's quality on months it never saw, the latency of served
    predictions, and where the credentials are. May be run again at any time.

    Example: terrace demo local --yes
    """
    from terrace import fleet as library
    from terrace.cli import operations, results
    from terrace.demo import Project

    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True)
    phases = Phases(quiet=as_json)
    with phases.phase("bring the platform up"):
        _bring_up(session, yes=yes)
    connection = session.outputs(show_secrets=True)["connection"]
    example = Project(session.root.joinpath(*EXAMPLE), connection)
    with phases.phase("run the example project's pipeline"):
        run = example.run_pipeline(lambda step: phases.say(_step_line(step)))
    with phases.phase("ask for predictions of later months"):
        model = example.replay(session.root)
    found = library.examine(env, session.outputs())
    if as_json:
        results.print_json(_document(found, phases, run, model))
    else:
        _print(found, phases, model)
    if not found.healthy:
        raise typer.Exit(FAILED)


@dataclass
class Phases:
    """Times the demo's parts and says which one runs.

    Attributes:
        quiet: Whether a program reads what is printed.
        seconds: How long each part took, in order.
    """

    quiet: bool
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a part of the demo."""
        self.say(f"== {name}")
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start
        self.say(f"== {name}: {self.seconds[name]:.1f} s\n")

    def say(self, line: str) -> None:
        """Print a line, unless a program reads."""
        if not self.quiet:
            typer.echo(line)
            sys.stdout.flush()


def _bring_up(session: Session, *, yes: bool) -> None:
    from terrace.cli import operations, results

    if operations.require_yes(session, "demo", yes=yes):
        operations.ask(f"Bring {session.env} up on this machine?")
    start = time.monotonic()
    result = session.run("up")
    if not session.as_json and result.ok:
        results.print_summary(result, time.monotonic() - start)
    session.exit_on_failure("up", result)


def _step_line(step: StepRun) -> str:
    seconds = f" {step.seconds:.1f} s" if step.seconds is not None else ""
    attempt = f" (attempt {step.attempts})" if step.attempts > 1 else ""
    return f"{step.state:<9} {step.name}{attempt}{seconds}"


def _credentials(env: str) -> str:
    return f"terrace output {env} credentials --show-secrets"


def _document(found: Status, phases: Phases, run: Run, model: dict[str, Any]) -> dict[str, Any]:
    steps = [{"name": step.name, "state": step.state, "seconds": step.seconds} for step in run.steps]
    return {
        **found.document(),
        "phases": {name: round(seconds, 3) for name, seconds in phases.seconds.items()},
        "run": {"id": run.id, "state": run.state, "seconds": run.seconds, "steps": steps},
        "model": model,
        "credentials": _credentials(found.env),
    }


def _print(found: Status, phases: Phases, model: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    from terrace.cli.status import print_table

    print_table(found)
    quality = Table("month", "AUC", box=None, pad_edge=False)
    for month, auc in model["auc_by_month"].items():
        quality.add_row(month, f"{auc:.3f}")
    quality.add_row("all", f"{model['auc']:.3f}", style="bold")
    quality.add_row("schedule alone", f"{model['baseline_auc']:.3f}", style="dim")
    console = Console()
    console.print(f"\nmodel {model['model']} version {model['version']} on months it never saw:")
    console.print(quality)
    console.print(
        f"\nserved predictions: p50 {model['p50_ms']:.1f} ms, p99 {model['p99_ms']:.1f} ms with features looked up "
        f"online, {model['requests']} requests, {model['requests_per_second']:.1f} a second\n"
        f"served answers equal the model's own: largest difference {model['max_abs_difference']:.1e}",
        highlight=False,
        soft_wrap=True,
    )
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in phases.seconds.items())
    console.print(f"times: {times}", highlight=False, soft_wrap=True)
    console.print(f"credentials: [bold]{_credentials(found.env)}[/bold]", soft_wrap=True)
