"""`terrace alerts`: what is wrong, and who has it in hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder
from terrace.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from terrace.alerts import Alert, AlertsClient
    from terrace.spec import PlatformSpec


def alerts(
    env: Environment = "local",
    project: ProjectFolder = None,
    engine: Engine = None,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test alert by every way, and wait until it is delivered.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the active alerts, and who has them in hand.

    With --test: see that alerts reach people. Exits with 1 when one doesn't arrive.

    Example: terrace alerts local --test
    """
    from terrace import config
    from terrace.alerts import AlertsClient
    from terrace.cli import operations, results

    session = operations.open_session(env, project, engine, as_json=as_json)
    outputs = session.outputs(show_secrets=True)
    client = AlertsClient.of(env, outputs)
    if test:
        _try(client, env, outputs, config.load(session.root, env).spec, as_json=as_json)
        return
    found = client.active()
    if as_json:
        results.print_json([alert.document() for alert in found])
    else:
        _print(env, found)


def _try(
    client: AlertsClient, env: str, outputs: Mapping[str, dict[str, str]], spec: PlatformSpec, *, as_json: bool
) -> None:
    from terrace.cli import results

    if spec.notify is None:
        raise InputError(f"{env} has nobody to tell", fix="name receivers under `notify` in the stack file")
    runbook = outputs["endpoints"]["metrics"] + "consoles/runbooks.html#testalert"
    took = {}
    for way in spec.notify.ways:
        took[way] = round(client.send_test(way, env, runbook), 1)
        if not as_json:
            typer.echo(f"{way}: delivered in {took[way]} s")
    if as_json:
        results.print_json({"env": env, "delivered": took})


def _print(env: str, found: Sequence[Alert]) -> None:
    if not found:
        typer.echo(f"{env}: no alert is active")
    for alert in found:
        color = "red" if alert.severity == "critical" else "yellow"
        typer.secho(f"{alert.severity:<9} {alert.name}", fg=color, nl=False)
        typer.echo(f"  {alert.summary}")
        typer.secho(f"{'':<10}since {alert.since}; what to do: {alert.runbook}", dim=True)
        for each in alert.acknowledged:
            typer.echo(f"{'':<10}in the hands of {each.by} until {each.until}: {each.comment}")
