"""`terrace rollback`: the version before, back into production."""

from __future__ import annotations

from terrace.cli.options import AsJson, Engine, ProjectFolder
from terrace.cli.promote import ModelName, NamedEnvironment, print_moved


def rollback(
    env: NamedEnvironment,
    model: ModelName,
    project: ProjectFolder = None,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Put the version back into production that was there before, and wait until it is served: at most a minute.

    Example: terrace rollback local flights-delay
    """
    from terrace.cli import operations
    from terrace.cli.audited import audited, person
    from terrace.models import Models

    session = operations.open_session(env, project, engine, as_json=as_json)
    with audited(session, "rollback", model) as note:
        moved = Models(env, session.outputs(show_secrets=True)).rollback(model, person())
        note.detail = f"version {moved.version} in place of {moved.previous or 'none'}"
    print_moved(moved, as_json=as_json)
