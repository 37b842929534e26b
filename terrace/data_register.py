"""The data register: which data the use cases use, how sensitive it is, who answers for it, and how long it's kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from terrace.spec import DataClass, UseCase


@dataclass(frozen=True)
class Entry:
    """Data of one source and one class.

    Args:
        source: The source's name.
        data_class: How sensitive it is.
        owners: Who answers for it: those that the spec names, else the owners of the use cases.
        keep_days: The shortest time for which it may be kept (days); None where no use case limits it.
        use_cases: What it is used for.
        columns: Inputs of models that come from it; none where it stands for all that no source names.
    """

    source: str
    data_class: DataClass
    owners: tuple[str, ...]
    keep_days: int | None
    use_cases: tuple[str, ...]
    columns: tuple[str, ...]


def register(use_cases: Mapping[str, UseCase]) -> tuple[Entry, ...]:
    """Return the register, by source and class."""
    found: dict[tuple[str, DataClass], list[Entry]] = {}
    for name, case in use_cases.items():
        for source in case.sources:
            entry = Entry(
                source.name,
                source.data_class,
                (source.owner or case.owner,),
                source.keep_days,
                (name,),
                tuple(source.columns),
            )
            found.setdefault((source.name, source.data_class), []).append(entry)
    return tuple(_merged(found[key]) for key in sorted(found))


def _merged(entries: list[Entry]) -> Entry:
    limits = [entry.keep_days for entry in entries if entry.keep_days is not None]
    return Entry(
        entries[0].source,
        entries[0].data_class,
        tuple(dict.fromkeys(owner for entry in entries for owner in entry.owners)),
        min(limits, default=None),
        tuple(dict.fromkeys(name for entry in entries for name in entry.use_cases)),
        tuple(dict.fromkeys(column for entry in entries for column in entry.columns)),
    )
