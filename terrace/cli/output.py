"""`terrace output`: what the platform gives."""

from __future__ import annotations

import contextlib
import json
import shlex
from enum import StrEnum
from typing import Annotated, Any

import typer

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder
from terrace.errors import InputError


class Format(StrEnum):
    """How outputs are printed."""

    text = "text"
    env = "env"


def output(
    env: Environment = "local",
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One output only.")] = None,
    project: ProjectFolder = None,
    engine: Engine = None,
    form: Annotated[
        Format, typer.Option("--format", help="env: lines of VARIABLE=value that a shell can read.")
    ] = Format.text,
    show_secrets: Annotated[bool, typer.Option("--show-secrets", help="Print secrets as they are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print addresses, connection settings, and credentials.

    Secrets read [secret] unless --show-secrets is given.

    Example, which connects a project: terrace output local connection --format env --show-secrets > .env
    """
    from terrace.cli import operations
    from terrace.cli.audited import audited

    session = operations.open_session(env, project, engine, as_json=as_json)
    with audited(session, "show_secrets", name or "all outputs") if show_secrets else contextlib.nullcontext():
        outputs = session.outputs(show_secrets=show_secrets)
    if not outputs:
        raise InputError(f"{env} isn't up", fix=f"bring it up first: terrace up {env}")
    value = outputs if name is None else _named(outputs, name, env)
    if as_json:
        typer.echo(json.dumps(value, indent=2))
    elif form is Format.env:
        typer.echo("\n".join(_variables(value, name)))
    else:
        typer.echo("\n".join(_lines(value)))


def _named(outputs: dict[str, Any], name: str, env: str) -> Any:
    if name not in outputs:
        raise InputError(f"{env} has no output {name!r}", fix=f"one of: {', '.join(sorted(outputs))}")
    return outputs[name]


def _variables(value: Any, name: str | None) -> list[str]:
    if not isinstance(value, dict) or any(isinstance(item, dict | list) for item in value.values()):
        raise InputError(f"{name or 'the outputs'} can't be written as variables", fix="name a flat one: connection")
    return [f"{key}={shlex.quote(str(item))}" for key, item in value.items()]


def _lines(value: Any, indent: str = "") -> list[str]:
    if isinstance(value, dict):
        lines = []
        for key, item in value.items():
            nested = isinstance(item, dict | list) and item
            lines.append(f"{indent}{key}:" if nested else f"{indent}{key}: {_scalar(item)}")
            lines.extend(_lines(item, indent + "  ") if nested else [])
        return lines
    if isinstance(value, list):
        return [f"{indent}- {_scalar(item)}" for item in value]
    return [f"{indent}{_scalar(value)}"]


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
