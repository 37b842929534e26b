"""The package ``pulumi`` itself: references to other stacks, and lookups of this program's resources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from terrace.engine.diff import Diff
from terrace.engine.errors import StepError, UnsupportedError
from terrace.engine.provider import Failure, Found, Values
from terrace.engine.state import Resource
from terrace.engine.values import Secret, contains

PACKAGE = "pulumi"
STACK_REFERENCE = "pulumi:pulumi:StackReference"


class Builtin:
    """The provider of the package ``pulumi``.

    Args:
        stack_outputs: Gives the outputs of another stack of the same backend.
    """

    def __init__(self, stack_outputs: Callable[[str], Values]) -> None:
        self._stack_outputs = stack_outputs
        self.resources: dict[str, Resource] = {}

    def check(self, urn: str, *_: object) -> tuple[Values, list[Failure]]:
        """Refuse: nothing of this package is created, SDKs only read."""
        raise UnsupportedError("resources of the package pulumi can only be read", where=urn, fix="update the SDK")

    def diff(self, *_: object) -> Diff:
        """What is only read has no diff."""
        return Diff(changed=False)

    def create(self, new: Resource, /) -> tuple[str, Values]:
        """See `check`."""
        raise _never(new)

    def update(self, old: Resource, *_: object) -> Values:
        """See `check`."""
        raise _never(old)

    def delete(self, old: Resource, /) -> None:
        """See `check`."""
        raise _never(old)

    def read(self, resource: Resource) -> Found:
        """Read another stack's outputs."""
        if resource.type != STACK_REFERENCE:
            raise UnsupportedError(f"{resource.type} isn't supported by the embedded engine", where=resource.urn)
        return Found(resource.id, resource.inputs, self._referenced(str(resource.inputs["name"])))

    def invoke(self, token: str, arguments: Values) -> Values:
        """Call one of the package's functions.

        Raises:
            StepError: The function failed.
            UnsupportedError: There is no such function here.
        """
        if token == "pulumi:pulumi:readStackOutputs":  # noqa: S105 - a function's name
            return self._referenced(str(arguments["name"]))
        if token == "pulumi:pulumi:getResource":  # noqa: S105
            return self._resource(str(arguments["urn"]))
        raise UnsupportedError(f"the function {token} isn't supported by this engine", fix="use --engine pulumi")

    def _referenced(self, name: str) -> Values:
        outputs = self._stack_outputs(name)
        secret = sorted(key for key, value in outputs.items() if contains(value, Secret))
        return {"name": name, "outputs": outputs, "secretOutputNames": secret}

    def _resource(self, urn: str) -> Values:
        found = self.resources.get(urn)
        if found is None:
            raise StepError("unknown resource", where=urn)
        state: dict[str, Any] = found.outputs
        return {"urn": urn, "id": found.id, "provider": found.provider, "state": state}


def _never(resource: Resource) -> UnsupportedError:
    return UnsupportedError(f"{resource.type} can only be read", where=resource.urn)
