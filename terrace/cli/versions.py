"""Says which services come to another version, before anything is touched."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from terrace.cli.operations import Session


def announce(session: Session) -> list[dict[str, Any]]:
    """Print what each service comes from and to, and whether it can go back; return the same as data.

    Raises:
        InputError: A service can't go back to the version that it is to have.
    """
    from terrace import backup, config, upgrades
    from terrace.catalog import Catalog
    from terrace.resolve import resolve

    blueprint = resolve(config.load(session.root, session.env))
    moves = upgrades.planned(blueprint, Catalog())
    upgrades.refuse(session.env, moves)
    if not session.as_json:
        for move in moves:
            typer.echo(f"  {move.sentence(saved=backup.SLOT in blueprint.slots)}")
    return [{**dataclasses.asdict(move), "is_for_good": move.is_for_good} for move in moves]
