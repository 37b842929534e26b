"""`terrace destroy`: remove everything that `up` made."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from terrace.cli.options import (
    AsJson,
    ContinueOnError,
    Engine,
    Environment,
    Parallel,
    ProjectFolder,
    RefreshFirst,
    Target,
    TargetDependents,
    Yes,
)
from terrace.engine.options import PARALLEL

if TYPE_CHECKING:
    from terrace.cli.operations import Session

DELETE_DATA = "TERRACE_DELETE_DATA"  # read by the host's provider when it deletes

DeleteData = Annotated[
    bool, typer.Option("--delete-data", help="Delete the services' data too; nothing brings it back.")
]


def destroy(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    target: Target = None,
    target_dependents: TargetDependents = False,
    refresh: RefreshFirst = False,
    parallel: Parallel = PARALLEL,
    continue_on_error: ContinueOnError = False,
    delete_data: DeleteData = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Stop and remove everything that `up` made; data stays.

    Example: terrace destroy local --yes
    """
    from terrace.audit import Anchors
    from terrace.cli import operations

    options = operations.engine_options(
        target,
        target_dependents=target_dependents,
        refresh=refresh,
        parallel=parallel,
        continue_on_error=continue_on_error,
    )
    session = operations.open_session(env, project, engine, as_json=as_json, options=options)
    _require_hosts(session, delete_data=delete_data)
    if operations.require_yes(session, "destroy", yes=yes):
        _ask(session, target, delete_data=delete_data)
    hosts = _hosts(session)
    if delete_data:
        os.environ[DELETE_DATA] = "1"
    session.change("destroy")
    if not target:
        # Its key goes with the state: the next platform's audit log is another.
        Anchors.of(session.project, session.env).forget()
        if delete_data:
            _delete_left_data(session, hosts)


def _require_hosts(session: Session, *, delete_data: bool) -> None:
    """Refuse to say that data is deleted where it lies in a cluster's volumes, which a destroy leaves.

    Raises:
        InputError: The platform is in a cluster.
    """
    from terrace.errors import InputError

    if delete_data and (cluster := session.outputs().get("cluster")):
        namespace = cluster["namespace"]
        raise InputError(
            "--delete-data is for hosts",
            where=session.env,
            why=f"in the cluster, data lies in volumes of the namespace {namespace}, which a destroy leaves",
            fix=f"terrace destroy {session.env}, then kubectl delete namespace {namespace}",
        )


def _ask(session: Session, target: list[str] | None, *, delete_data: bool) -> None:
    """Say what goes, and ask whether it may."""
    from terrace.cli import operations

    typer.echo(f"{_what(session, target)} will be removed")
    typer.echo("their data will be DELETED" if delete_data else "their data stays, for a later `terrace up`")
    operations.ask(f"Destroy {session.env}?")


def _what(session: Session, target: list[str] | None) -> str:
    if target:
        return ", ".join(target)
    names = [service["name"] for service in session.outputs().get("services", [])]
    return f"{len(names)} services ({', '.join(names) or 'none is recorded'})"


def _hosts(session: Session) -> list[dict[str, Any]]:
    """Return how the hosts are reached: as the spec says, or, where it can't be read, as the last `up` did."""
    from terrace import config
    from terrace.errors import InputError
    from terrace.hosts import Host

    try:
        spec = config.load(session.root, session.env).spec
        return [host.document() for host in spec.hosts] if spec.target == "host" else []
    except InputError:
        return session.outputs().get("hosts") or [Host().document()]


def _delete_left_data(session: Session, hosts: list[dict[str, Any]]) -> None:
    """Delete data that an earlier destroy has kept: the state doesn't know of it any more."""
    from terrace import host_ansible

    for host in hosts:
        host_ansible.remove_data(host, session.env)
