"""Resource names as people read them."""

from __future__ import annotations

from typing import NamedTuple


class ResourceName(NamedTuple):
    """A resource's place in the platform.

    Attributes:
        group: The slot that it belongs to, such as ``tracking``; ``platform`` for what belongs to none.
        name: Its own name, such as ``mlflow-service``.
    """

    group: str
    name: str

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def resource_name(urn: str) -> ResourceName:
    """Return the name of the resource ``urn``, as ``urn:pulumi:<stack>::<project>::<types>::<name>`` says it.

    The types are those of the parents and its own, joined by ``$``; Terrace's are ``terrace:<slot>:<Flavor>``.
    """
    if not urn:
        return ResourceName("platform", "program")
    types, name = urn.split("::", 3)[2:]
    slots = [token.split(":")[1] for token in types.split("$") if token.startswith("terrace:")]
    return ResourceName(slots[-1] if slots else "platform", name)


def depth(urn: str) -> int:
    """Return how many parents the resource has."""
    return urn.split("::", 3)[2].count("$")
