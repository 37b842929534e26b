"""`terrace explain`: every decided value and where it came from."""

from __future__ import annotations

import typer

from terrace.cli.options import AsJson, Environment, ProjectFolder, project_root


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
        typer.echo(explanation.text())
