"""`terrace import`: let a stack know of something that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from terrace.cli.options import AsJson, Engine, Environment, ProjectFolder, Yes
from terrace.engine.options import Import, Options

if TYPE_CHECKING:
    from terrace.cli.operations import Session

Type = Annotated[str, typer.Argument(metavar="TYPE", help="Its type, such as kubernetes:core/v1:ConfigMap.")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name that it has in the program.")]
Id = Annotated[str, typer.Argument(metavar="ID", help="What its provider knows it by, such as namespace/name.")]
Parent = Annotated[
    str,
    typer.Option("--parent", metavar="URN", help="Its parent. [default: the stack]", show_default=False),
]
Provider = Annotated[
    str,
    typer.Option("--provider", metavar="URN", help="Its provider. [default: the package's own]", show_default=False),
]
Protect = Annotated[bool, typer.Option("--protect/--no-protect", help="Keep it from being deleted.")]


def import_(
    env: Environment,
    type_: Type,
    name: Name,
    identifier: Id,
    parent: Parent = "",
    provider: Provider = "",
    protect: Protect = True,
    project: ProjectFolder = None,
    engine: Engine = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take something that is there already into the stack, without changing it.

    The next `up` deletes it unless the program has it, too (or it is protected: then `up` fails): the program text that
    is printed at the end says how.

    Example: terrace import dev kubernetes:core/v1:ConfigMap settings ml/settings
    """
    from terrace.cli import operations

    options = Options(imports=(Import(type_, name, identifier, parent, provider, protect),))
    session = operations.open_session(env, project, engine, as_json=as_json, options=options)
    if operations.require_yes(session, "import", yes=yes):
        operations.ask(f"Import {identifier} into {env} as {name}?")
    session.change("import")
    if not as_json:
        _print_program(session, type_, name)


def _print_program(session: Session, type_: str, name: str) -> None:
    """Print what the program has to say, where that can be told."""
    from terrace.cli.operations import embedded
    from terrace.program_text import program_text

    stack = embedded(session.project, session.env)
    made = next(each for each in stack.resources() if (each.type, each.urn.rpartition("::")[2]) == (type_, name))
    if text := program_text(made):
        typer.echo(f"\nthe program has to have it, too:\n\n{text}")
