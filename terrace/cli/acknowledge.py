"""`terrace acknowledge`: take an alert on."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.options import AsJson, Engine, ProjectFolder
from terrace.errors import InputError

if TYPE_CHECKING:
    from terrace.spec import PlatformSpec

HOURS = {"m": 1 / 60, "h": 1.0, "d": 24.0}
LONGEST_HOURS = 7 * 24.0

Labels = Annotated[
    list[str] | None,
    typer.Option(
        "--label", "-l", metavar="NAME=VALUE", help="Only alerts with it, such as service=mlflow; can be repeated."
    ),
]


def acknowledge(
    env: Annotated[str, typer.Argument(metavar="ENV", help="The environment.")],
    alert: Annotated[str, typer.Argument(metavar="ALERT", help="The alert's name, as `terrace alerts` shows it.")],
    by: Annotated[str, typer.Option("--by", metavar="PERSON", help="Who takes it on: a person of `team`.")],
    comment: Annotated[str, typer.Option("--comment", help="What is being done about it.")],
    duration: Annotated[
        str, typer.Option("--for", metavar="TIME", help="For how long nobody is told again: 30m, 2h, 1d.")
    ] = "2h",
    label: Labels = None,
    project: ProjectFolder = None,
    engine: Engine = None,
    as_json: AsJson = False,
) -> None:
    """Say that you have an alert in hand, so that nobody is told of it again for a while.

    Example: terrace acknowledge local DiskAlmostFull --by ann --for 2h --comment "moving old runs away"
    """
    from dataclasses import asdict

    from terrace import alerts as library
    from terrace import config
    from terrace.cli import operations, results
    from terrace.cli.audited import audited

    hours, labels = _hours(duration), _labels(label or [])
    session = operations.open_session(env, project, engine, as_json=as_json)
    _require_person(config.load(session.root, env).spec, by)
    client = library.AlertsClient.of(env, session.outputs(show_secrets=True))
    taken = library.select(client.active(), alert, labels)
    with audited(session, "acknowledge", alert) as note:
        note.detail = f"in the hands of {by} for {duration}"
        made = client.acknowledge(taken, by, hours, comment)
    if as_json:
        results.print_json([asdict(each) for each in made])
    else:
        typer.echo(f"{by} has {alert} in hand until {made[0].until}; nobody else is told until then")


def _hours(duration: str) -> float:
    found = re.fullmatch(r"(\d+)([mhd])", duration)
    hours = int(found[1]) * HOURS[found[2]] if found else 0.0
    if not 0 < hours <= LONGEST_HOURS:
        raise InputError(f"--for {duration!r} is no time", fix="write it like 30m, 2h, or 1d, up to 7d")
    return hours


def _labels(given: list[str]) -> dict[str, str]:
    for each in given:
        if not re.fullmatch(r"[A-Za-z_]\w*=.*", each):
            raise InputError(f"--label {each!r} is no label", fix="write it like service=mlflow")
    return dict(each.split("=", 1) for each in given)


def _require_person(spec: PlatformSpec, name: str) -> None:
    """Check that ``name`` is somebody; where `team` lists nobody, anybody may be."""
    known = sorted(spec.team.people)
    if known and name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"--by {name!r} is not in team.people{guess}", fix=f"one of: {', '.join(known)}")
