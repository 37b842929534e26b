"""`terrace up`: make the platform what the stack file says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from terrace.cli.options import (
    AsJson,
    ContinueOnError,
    Engine,
    Environment,
    Parallel,
    ProjectFolder,
    RefreshFirst,
    Replace,
    Target,
    TargetDependents,
    Yes,
)
from terrace.engine.options import PARALLEL

if TYPE_CHECKING:
    from terrace.cli.operations import Session


def up(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    target: Target = None,
    target_dependents: TargetDependents = False,
    replace: Replace = None,
    refresh: RefreshFirst = False,
    parallel: Parallel = PARALLEL,
    continue_on_error: ContinueOnError = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring the platform up, or change it to what the stack file says.

    Shows the plan and asks first, unless --yes is given. An interrupted or failed run is finished by the next one.

    Example: terrace up local --yes
    """
    from terrace import config
    from terrace.cli import operations, results, versions

    options = operations.engine_options(
        target,
        replace,
        target_dependents=target_dependents,
        refresh=refresh,
        parallel=parallel,
        continue_on_error=continue_on_error,
        with_components=True,
    )
    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True, options=options)
    versions.announce(session)
    if operations.require_yes(session, "up", yes=yes):
        _ask(session)
    session.change("up")
    if not as_json:
        results.print_endpoints(session.outputs())
        results.print_unheard(config.load(session.root, env).spec)


def _ask(session: Session) -> None:
    """Show what would change, and ask whether it may."""
    from terrace.cli import operations, results

    plan = session.run("preview")
    session.exit_on_failure("preview", plan)
    results.print_plan(plan)
    if results.changes(plan):
        operations.ask(f"Bring {session.env} to this?")
