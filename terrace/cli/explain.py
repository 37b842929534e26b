"""`terrace explain`: every decided value and where it came from."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, Any

import typer

from terrace.cli.options import AsJson, Environment, ProjectFolder, project_root

if TYPE_CHECKING:
    from terrace.explain import Explanation

MOST_CHARACTERS = 160  # of a value; `--json` has all of it
COLORS = {"covered": "green", "stated": "cyan", "not covered": "yellow"}


def explain(env: Environment = "local", project: ProjectFolder = None, as_json: AsJson = False) -> None:
    """Show every decided value and where it came from.

    Then what each practice asks up to the tier, and what gives it.

    Example: terrace explain local
    """
    from terrace import config, resolve
    from terrace import explain as library
    from terrace.cli import results

    explanation = library.explain(resolve.resolve(config.load(project_root(project), env)))
    if as_json:
        results.print_json(explanation.document())
    else:
        _print(explanation)


def _shown(value: Any) -> str:
    """Return a value as it may be written in the stack file; only what is long is cut."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"


def _print(explanation: Explanation) -> None:
    typer.secho(f"{explanation.env}: tier {explanation.tier}, target {explanation.target}", bold=True)
    width = max(len(value.path) for value in explanation.values)
    for value in explanation.values:
        typer.echo(f"  {value.path:<{width}} = {_shown(value.value)}", nl=False)
        typer.secho(f"  ({value.origin}: {value.detail})", dim=True)
    for entry in explanation.data:
        kept = f"kept {entry.keep_days} days at most" if entry.keep_days else "kept without a limit"
        about = f"{entry.data_class}, of {', '.join(entry.owners)}, {kept}, for {', '.join(entry.use_cases)}"
        typer.echo(f"data: {entry.source}: {about}")
    for waiver in explanation.waivers:
        typer.secho(f"waived: {waiver}", fg="yellow")
    for sentence in explanation.unheard:
        typer.secho(f"note: {sentence}", fg="yellow")
    for title, cells in groupby(explanation.cells, key=lambda cell: cell.title):
        typer.secho(f"\n{title}", bold=True)
        for cell in cells:
            typer.secho(f"  {cell.tier} {cell.coverage:<12}", fg=COLORS[cell.coverage], nl=False)
            typer.echo(f" {cell.asks}")
            if cell.by:
                typer.secho(f"{'':<17}by {', '.join(cell.by)}", dim=True)
            if cell.lacks:
                typer.secho(f"{'':<17}lacks: {', '.join(cell.lacks)}", fg="yellow")
