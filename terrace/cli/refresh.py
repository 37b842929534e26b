"""`terrace refresh`: compare the state with what is really there."""

from __future__ import annotations

from terrace.cli.options import AsJson, Engine, Environment, Parallel, ProjectFolder, Target
from terrace.engine.options import PARALLEL


def refresh(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    target: Target = None,
    parallel: Parallel = PARALLEL,
    as_json: AsJson = False,
) -> None:
    """Note in the state what has drifted; the next `up` repairs it.

    Example: terrace refresh local && terrace preview local
    """
    from terrace.cli import operations

    options = operations.engine_options(target, parallel=parallel)
    operations.open_session(env, project, engine, as_json=as_json, options=options).change("refresh")
