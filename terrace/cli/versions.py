"""Says which services come to another version, and which slots to another flavor, before anything is touched."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from terrace.cli.operations import Session


def announce(session: Session) -> dict[str, list[dict[str, Any]]]:
    """Print what each service comes from and to, and whether it can go back, and which slots change their flavor.

    Returns the same as data: ``versions`` and ``flavors``.

    Raises:
        InputError: A service can't go back to the version that it is to have.
    """
    from terrace import backup, config, upgrades
    from terrace.catalog import Catalog
    from terrace.resolve import resolve

    blueprint = resolve(config.load(session.root, session.env))
    moves = upgrades.planned(blueprint, Catalog())
    upgrades.refuse(session.env, moves)
    changes = upgrades.changes(session.stack.outputs().get("flavors") or {}, blueprint)
    if not session.as_json:
        for move in moves:
            typer.echo(f"  {move.sentence(saved=backup.SLOT in blueprint.slots)}")
        for change in changes:
            typer.echo(f"  {change.sentence}")
    return {
        "versions": [{**dataclasses.asdict(move), "is_for_good": move.is_for_good} for move in moves],
        "flavors": [dataclasses.asdict(change) for change in changes],
    }
