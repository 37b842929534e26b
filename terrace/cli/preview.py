"""`terrace preview`: what would change."""

from __future__ import annotations

from terrace.cli.options import (
    AsJson,
    Engine,
    Environment,
    Parallel,
    ProjectFolder,
    RefreshFirst,
    Replace,
    Target,
    TargetDependents,
)
from terrace.engine.options import PARALLEL


def preview(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    target: Target = None,
    target_dependents: TargetDependents = False,
    replace: Replace = None,
    refresh: RefreshFirst = False,
    parallel: Parallel = PARALLEL,
    as_json: AsJson = False,
) -> None:
    """Show what `up` would change; change nothing.

    Example: terrace preview local --json
    """
    from terrace.cli import operations, results, versions

    options = operations.engine_options(
        target,
        replace,
        target_dependents=target_dependents,
        refresh=refresh,
        parallel=parallel,
        with_components=True,
    )
    session = operations.open_session(env, project, engine, as_json=as_json, runs_program=True, options=options)
    announced = versions.announce(session)
    result = session.run("preview")
    if as_json:
        results.print_json({**results.plan_document(env, result), **announced})
    elif result.ok:
        results.print_plan(result)
    session.exit_on_failure("preview", result)
