"""The command line: one file per command. The only code that prints or exits."""

from __future__ import annotations

import importlib
import keyword
from typing import Annotated

import typer

from terrace.cli.errors import reported

COMMANDS = (
    "new",
    "check",
    "preview",
    "render",
    "up",
    "refresh",
    "destroy",
    "import",
    "backup",
    "restore",
    "status",
    "output",
    "models",
    "promote",
    "rollback",
    "explain",
    "team",
    "credentials",
    "alerts",
    "acknowledge",
    "audit",
    "encrypt",
    "schema",
    "images",
    "doctor",
    "demo",
    "cancel",
    "diff",
)


def application() -> typer.Typer:
    """Return the command line with every command of ``COMMANDS``, each from the module of its name.

    A module holds a function, or a group of commands.
    """
    app = typer.Typer(
        name="terrace",
        help="A whole MLOps platform per environment, from one typed spec.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,  # importing rich would take half of the 0.3 s that a --help may take
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name in COMMANDS:
        python_name = f"{name}_" if keyword.iskeyword(name) else name
        module = importlib.import_module(f"terrace.cli.{python_name}")
        command = getattr(module, python_name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(reported(command))
    return app


def main() -> None:
    """Run the command line and exit: 0 fine, 1 the operation failed, 2 the input is wrong."""
    application()()


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"terrace {version('terrace')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A whole MLOps platform per environment, from one typed spec."""
