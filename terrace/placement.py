"""Which host each slot is on, and which of them reach each other. Pure functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from terrace.errors import InputError
from terrace.hosts import Host

if TYPE_CHECKING:
    from components.base import FlavorSpec
    from terrace.catalog import Catalog
    from terrace.resolve import Blueprint
    from terrace.spec import PlatformSpec
    from terrace.tiers import TierTable

ENTRANCE = "gateway"
BACKUP = "backup"  # every host has a service of it
AUDIT = "audit"  # whoever has something to tell it does so at its port
# Those that reach every port of every slot: by routes, to scrape metrics, to ask how it is.
ALL_SEEING = (ENTRANCE, "monitoring", "portal")


@dataclass(frozen=True, order=True)
class Edge:
    """A TCP port of one host's loopback that another host has on its own."""

    consumer: str
    provider: str
    port: int


def place(slots: Mapping[str, FlavorSpec], hosts: Sequence[Host], table: TierTable, catalog: Catalog) -> dict[str, str]:
    """Return slot → name of its host: the first one that takes the slot's group, or that of the slot it must be beside.

    Raises:
        InputError: No host takes a group that is needed.
    """
    places: dict[str, str] = {}
    lacking: dict[str, list[str]] = {}
    for slot, spec in slots.items():
        beside = catalog.component(slot, spec.flavor).beside
        decides = beside if beside in slots else slot
        row = table.slots.get(decides)
        taking = [host.name for host in hosts if row is None or not host.groups or row.group in host.groups]
        if taking:
            places[slot] = taking[0]
        elif row:
            lacking.setdefault(row.group, []).append(slot)
    if lacking:
        said = "; ".join(f"{group!r}, which has {', '.join(sorted(names))}" for group, names in lacking.items())
        raise InputError(f"hosts: none takes the group {said}", fix="Add it to the `groups` of one of them.")
    return places


def link_ports(spec: PlatformSpec) -> dict[str, int]:
    """Return what each host tells on its own loopback → its port; none where there is one host."""
    if len(spec.hosts) == 1:
        return {}
    first = spec.network.link_port
    names = [f"{host.name}.{what}" for host in spec.hosts for what in ("link", "machine", BACKUP)]
    return {name: first + number for number, name in enumerate(names)}


def edges(blueprint: Blueprint, catalog: Catalog) -> tuple[Edge, ...]:
    """Return all edges between hosts, in a fixed order."""
    return tuple(sorted({*_of_slots(blueprint, catalog), *_of_hosts(blueprint)}))


def audit_sources(blueprint: Blueprint, catalog: Catalog) -> tuple[str, ...]:
    """Return the services that may tell the audit log something, in alphabetical order."""
    told = (catalog.component(slot, spec.flavor).tells_audit for slot, spec in blueprint.slots.items())
    return tuple(sorted(filter(None, told)))


def _of_slots(blueprint: Blueprint, catalog: Catalog) -> Iterator[Edge]:
    for consumer in blueprint.slots:
        for provider in reached(consumer, blueprint, catalog):
            here, there = blueprint.places[consumer], blueprint.places[provider]
            if here != there:
                yield from (Edge(here, there, port) for port in _ports(consumer, provider, blueprint))


def _of_hosts(blueprint: Blueprint) -> Iterator[Edge]:
    """Monitoring sees how every host, its links, and its backups are."""
    watching, saving = blueprint.places.get("monitoring"), blueprint.places.get(BACKUP)
    for name, port in link_ports(blueprint.spec).items():
        host, _, what = name.partition(".")
        if what == BACKUP and saving in (None, host):
            continue  # the slot's own port tells
        if watching and host != watching:
            yield Edge(watching, host, port)


def reached(consumer: str, blueprint: Blueprint, catalog: Catalog) -> set[str]:
    """Return the slots that ``consumer`` requires or uses, also through others."""
    if consumer in ALL_SEEING:
        return set(blueprint.slots)
    found = {AUDIT} & set(blueprint.slots)
    ahead = [consumer]
    while ahead:
        slot = ahead.pop()
        flavor = catalog.component(slot, blueprint.slots[slot].flavor)
        new = {name for name in (*flavor.requires, *flavor.uses) if name in blueprint.slots} - found
        found |= new
        ahead += new
    return found


def _ports(consumer: str, provider: str, blueprint: Blueprint) -> Iterator[int]:
    """Yield what of a slot another one reaches: its option ``port``; the others tell of it, to those that see all.

    The entrance itself listens on its host's address.
    """
    for option, port in blueprint.ports.items():
        slot, _, name = option.partition(".")
        if slot != provider or (slot == ENTRANCE and name == "port"):
            continue
        if name == "port" or consumer in ALL_SEEING:
            yield port
