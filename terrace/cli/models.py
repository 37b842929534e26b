"""`terrace models`: what is in production, and who moved it there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder

if TYPE_CHECKING:
    from terrace.models import Model


def models(
    env: Environment = "local", project: ProjectFolder = None, engine: Engine = None, as_json: AsJson = False
) -> None:
    """List the registered models with their versions in production and beside it.

    Example: terrace models local --json
    """
    from terrace.cli import operations, results
    from terrace.models import Models

    session = operations.open_session(env, project, engine, as_json=as_json)
    found = Models(env, session.outputs(show_secrets=True)).all()
    if as_json:
        results.print_json([model.document() for model in found])
    elif not found:
        typer.echo("no model is registered")
    for model in () if as_json else found:
        typer.echo(line(model))


def line(model: Model) -> str:
    """Return one model's line."""
    parts = [f"{model.name}: {_production(model)}"]
    if model.candidate:
        parts.append(f"candidate {model.candidate}")
    if model.history:
        last = model.history[-1]
        parts.append(f"since {last.at} by {last.by} ({last.how}), before it {last.previous or 'nothing'}")
    return "; ".join(parts)


def _production(model: Model) -> str:
    if model.production is None:
        return "nothing in production"
    if model.production != model.served:
        return f"production {model.production}, not served yet (served: {model.served or 'nothing'})"
    return f"production {model.production}"
