"""`terrace preview`: what would change."""

from __future__ import annotations

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder


def preview(
    env: Environment = "local", project: ProjectFolder = None, engine: Engine = None, as_json: AsJson = False
) -> None:
    """Show what `up` would change; change nothing.

    Example: terrace preview local --json
    """
    from terrace.cli import operations, results

    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True)
    result = session.run("preview")
    if as_json:
        results.print_json(results.plan_document(env, result))
    elif result.ok:
        results.print_plan(result)
    session.exit_on_failure("preview", result)
