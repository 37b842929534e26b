"""Chooses who answers for a resource: a dynamic provider, the engine itself, or nobody (then it is preview-only)."""

from __future__ import annotations

import uuid
from typing import Any

from terrace.engine.diff import Diff, inputs_differ
from terrace.engine.dynamic import DynamicProviders
from terrace.engine.errors import StepError, UnsupportedError
from terrace.engine.goal import Goal, is_dynamic
from terrace.engine.state import PROVIDER_PREFIX, Resource
from terrace.engine.values import equal

_Values = dict[str, Any]
# The input of a provider resource that says which plugin to load; it isn't its configuration.
_INTERNAL = "__internal"


class Providers:
    """Answers for every kind of resource.

    Args:
        dynamic: Runs dynamic providers.
    """

    def __init__(self, dynamic: DynamicProviders) -> None:
        self._dynamic = dynamic

    def check(self, goal: Goal, urn: str, old: _Values | None, new: _Values) -> _Values:
        """The inputs as the provider wants them.

        Raises:
            StepError: The provider refuses some of them.
        """
        if not goal.is_dynamic:
            return new
        inputs, failures = self._dynamic.check(old, new)
        if failures:
            why = "; ".join(f"{item.property}: {item.reason}" if item.property else item.reason for item in failures)
            raise StepError("its inputs are wrong", where=urn, why=why)
        return inputs

    def diff(self, old: Resource, new: _Values) -> Diff:
        """What changed."""
        if is_dynamic(old.type):
            return self._dynamic.diff(old, new)
        if old.type.startswith(PROVIDER_PREFIX):
            return Diff(changed=not equal(old.outputs, _configuration(new)))
        return inputs_differ(old.inputs, new)

    def create(self, resource: Resource) -> tuple[str, _Values]:
        """Create; returns the id and the outputs."""
        if resource.type.startswith(PROVIDER_PREFIX):
            return str(uuid.uuid4()), _configuration(resource.inputs)
        self._refuse(resource.type, resource.urn)
        identifier, outputs = self._dynamic.create(resource.inputs)
        if not identifier:
            raise StepError("the provider gave no id", where=resource.urn)
        return identifier, outputs

    def update(self, old: Resource, new: Resource) -> _Values:
        """Update in place; returns the outputs."""
        if new.type.startswith(PROVIDER_PREFIX):
            return _configuration(new.inputs)
        self._refuse(new.type, new.urn)
        return self._dynamic.update(old, new.inputs)

    def read(self, resource: Resource) -> tuple[str, _Values | None, _Values]:
        """Read; returns the id (empty if it is gone), new inputs if the provider has any, and the outputs."""
        self._refuse(resource.type, resource.urn)
        return self._dynamic.read(resource.id, resource.inputs, resource.outputs)

    def delete(self, resource: Resource) -> None:
        """Delete."""
        if not resource.type.startswith(PROVIDER_PREFIX):
            self._refuse(resource.type, resource.urn)
            self._dynamic.delete(resource)

    @staticmethod
    def _refuse(type_: str, urn: str) -> None:
        if not is_dynamic(type_):
            raise unsupported_type(type_, urn)


def unsupported_type(type_: str, urn: str) -> UnsupportedError:
    """Why a resource can only be previewed."""
    package = type_.partition(":")[0]
    return UnsupportedError(
        f"{type_} needs the provider plugin of {package}, which the embedded engine can't run",
        where=urn,
        fix="install the Pulumi CLI (https://www.pulumi.com/docs/install/) and use --engine pulumi",
    )


def _configuration(inputs: _Values) -> _Values:
    return {key: value for key, value in inputs.items() if key != _INTERNAL}
