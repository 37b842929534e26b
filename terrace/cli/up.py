"""`terrace up`: make the platform what the stack file says."""

from __future__ import annotations

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder, Yes


def up(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the platform up, or change it to what the stack file says.

    Shows the plan and asks first, unless --yes is given. An interrupted or failed run is finished by the next one.

    Example: terrace up local --yes
    """
    from terrace.cli import operations, results

    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True)
    if operations.require_yes(session, "up", yes=yes):
        plan = session.run("preview")
        session.exit_on_failure("preview", plan)
        results.print_plan(plan)
        if results.changes(plan):
            operations.ask(f"Bring {env} to this?")
    session.change("up")
    if not as_json:
        results.print_endpoints(session.stack.outputs())
