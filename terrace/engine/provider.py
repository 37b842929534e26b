"""What a provider is: whoever makes, reads, changes, and deletes the resources of one package."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from terrace.engine.diff import Diff
from terrace.engine.state import Resource

Values: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """An input that a provider's check refused."""

    property: str
    reason: str


@dataclass(frozen=True)
class Found:
    """What a provider found when it read a resource.

    Attributes:
        id: The resource's id; empty if it is gone.
        inputs: Its inputs as they are now; None if the provider can't tell them.
        outputs: Its outputs.
        complaints: Why it isn't as it should be although it is there; the next update repairs it.
    """

    id: str
    inputs: Values | None
    outputs: Values
    complaints: tuple[str, ...] = ()


class Provider(Protocol):
    """Handles the resources of one package with one configuration. Called from several threads.

    Outputs whose inputs of the same name are secret become secret by themselves.
    """

    def check(self, urn: str, old: Values | None, new: Values, /) -> tuple[Values, list[Failure]]:
        """Return the inputs as the provider wants them, and what is wrong with them. In a preview, some are unknown.

        Args:
            urn: The resource.
            old: Its inputs before; None if it is new.
            new: What the program wants.
        """

    def diff(self, old: Resource, new: Values, /) -> Diff:
        """Return whether going from ``old`` to the inputs ``new`` is a change, or needs a replacement."""

    def create(self, new: Resource, /) -> tuple[str, Values]:
        """Create; return the id and the outputs.

        Raises:
            PartialError: It is there, but something about it failed.
        """

    def read(self, resource: Resource, /) -> Found:
        """Return what is really there of the resource with this id. For an import, it has no inputs and outputs."""

    def update(self, old: Resource, new: Resource, /) -> Values:
        """Update in place; return the outputs.

        Raises:
            PartialError: It changed, but not all of it.
        """

    def delete(self, old: Resource, /) -> None:
        """Delete; what is gone already is no error."""


@runtime_checkable
class Foreseeing(Protocol):
    """A provider that can try things without doing them."""

    def preview(self, old: Resource | None, new: Resource | None, /) -> Values:
        """Return the outputs that a step would have, some of them unknown; called in place of the step in a preview.

        Args:
            old: The resource as it is stored; None if it would be created.
            new: What it would become; None if it would be deleted.

        Raises:
            Exception: The step would fail.
        """

    def obstacles(self) -> list[str]:
        """Return why what was previewed can't be carried out now, asked when everything was previewed."""


# Makes a provider, once for each of the package's provider resources, whose inputs it is given.
Open: TypeAlias = Callable[[Values], Provider]


@runtime_checkable
class Placing(Protocol):
    """An `Open` whose providers' configuration says where their resources are."""

    def moved(self, old: Values, new: Values, /) -> tuple[str, ...]:
        """Return the keys by which another configuration leads elsewhere, so that every resource is replaced."""
