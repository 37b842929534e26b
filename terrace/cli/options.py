"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from terrace.engine.options import Urns
from terrace.errors import InputError


class EngineName(StrEnum):
    """Which engine carries the operation out."""

    embedded = "embedded"
    pulumi = "pulumi"


Environment = Annotated[
    str, typer.Argument(metavar="ENV", help="The environment; its file is stacks/Pulumi.<ENV>.yaml.")
]
ProjectFolder = Annotated[
    Path | None,
    typer.Option(
        "--project",
        "-C",
        metavar="DIR",
        help="The project's folder. [default: the nearest one upwards with a Pulumi.yaml]",
        show_default=False,
    ),
]
Engine = Annotated[
    EngineName | None,
    typer.Option("--engine", help="What runs it. [default: the environment's engine]", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask; needed where there is no terminal.")]

Target = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        "-t",
        metavar="RESOURCE",
        help="Work on this alone: a slot (tracking), a resource (tracking/mlflow-service), a URN, or `secrets`, "
        "what is generated with a cluster's objects that hold it; can be repeated.",
        show_default=False,
    ),
]
TargetDependents = Annotated[bool, typer.Option("--target-dependents", help="Work on what depends on the targets too.")]
Replace = Annotated[
    list[str] | None,
    typer.Option(
        "--replace",
        metavar="RESOURCE",
        help="Replace this, named as for --target, even if nothing changed; can be repeated.",
        show_default=False,
    ),
]
RefreshFirst = Annotated[
    bool, typer.Option("--refresh", "-r", help="Compare the state with what is really there first.")
]
Parallel = Annotated[int, typer.Option("--parallel", "-p", min=1, help="How many resources to work on at once.")]
ContinueOnError = Annotated[
    bool, typer.Option("--continue-on-error", help="Go on with what doesn't depend on a failed resource.")
]

BackupsHost = Annotated[
    str | None,
    typer.Option("--host", metavar="HOST", help="Of a platform on several hosts, this one alone.", show_default=False),
]


# Terrace's components: names for what is in them, which a part of the platform can't do without.
_ANY_STACK = "urn:pulumi:*::*::"
COMPONENTS = f"{_ANY_STACK}**terrace:*:*::*"
# Hosts: they refuse what can't go back, and save what is changed for good, before anything on them is touched.
HOSTS = f"{_ANY_STACK}**pulumi-python:dynamic/terrace:Host::*"
# What is generated, the cluster's objects that hold it, which no rendering has, and the namespace that they are in.
SECRETS = tuple(
    f"{_ANY_STACK}**{kind}"
    for kind in (
        "pulumi-python:dynamic/terrace:CertificateAuthority::*",
        "pulumi-python:dynamic/terrace:Password::*",
        "pulumi-python:dynamic/terrace:SshKey::*",
        "kubernetes:core/v1:Namespace::*",
        "kubernetes:core/v1:ConfigMap::authority-certificate",
        "kubernetes:core/v1:Secret::*",
    )
)


def is_urn(resource: str) -> bool:
    """Return whether a user named a resource by its URN, or a pattern of URNs, and not as it is shown."""
    return resource.startswith("urn:") or "*" in resource


def urn_pattern(resource: str) -> str:
    """Return the pattern of the URNs that a user means by a slot, a resource's name, or a URN."""
    if is_urn(resource):
        return resource
    slot, _, name = resource.partition("/")
    types = "**" if slot == "platform" and name else f"**terrace:{slot}:**"
    return f"{_ANY_STACK}{types}::{name or '**'}"


def target_patterns(resource: str) -> tuple[str, ...]:
    """Return the patterns of what a user names to work on: `secrets`, or one thing as ``urn_pattern`` has it."""
    return SECRETS if resource == "secrets" else (urn_pattern(resource),)


def require_known(patterns: Iterable[str], urns: Collection[str]) -> None:
    """Check that a user's words for resources mean something.

    Raises:
        InputError: A pattern fits none of the resources.
    """
    from terrace.names import resource_name

    for pattern in patterns:
        wanted = Urns([pattern])
        if pattern not in (COMPONENTS, HOSTS, *SECRETS) and not any(urn in wanted for urn in urns):
            words = pattern.removeprefix(_ANY_STACK).removesuffix("::**").replace("**terrace:", "").replace(":**", "")
            word = words.replace("**::", "platform/").replace("::", "/")
            same = sorted({name for urn in urns if (name := str(resource_name(urn))).endswith(f"/{word}")})
            raise InputError(
                f"no resource is called {word}" + (f"; did you mean {same[0]!r}?" if same else ""),
                fix="name a slot, such as tracking, a slot's resource, such as tracking/mlflow-service, or a URN; what "
                "`terrace preview` shows of no slot is called platform/…",
            )


def project_root(given: Path | None) -> Path:
    """Return the project's folder.

    Raises:
        InputError: There is no ``Pulumi.yaml``.
    """
    start = (given or Path.cwd()).resolve()
    for folder in (start,) if given else (start, *start.parents):
        if (folder / "Pulumi.yaml").is_file():
            return folder
    raise InputError(
        "there is no Pulumi.yaml here",
        where=str(start),
        fix="go to the project's folder, or name it with --project",
    )
