"""Arguments and options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

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
