"""`terrace refresh`: compare the state with what is really there."""

from __future__ import annotations

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder


def refresh(
    env: Environment = "local", project: ProjectFolder = None, engine: Engine = None, as_json: AsJson = False
) -> None:
    """Note in the state what has drifted; the next `up` repairs it.

    Example: terrace refresh local && terrace preview local
    """
    from terrace.cli import operations

    operations.open_session(env, project, engine, as_json=as_json).change("refresh")
