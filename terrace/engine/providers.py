"""Finds who answers for a resource: its package's provider, the engine itself, or nobody (then it is preview-only)."""

from __future__ import annotations

import contextlib
import threading
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping

from terrace.engine.diff import Diff, inputs_differ
from terrace.engine.errors import PartialError, StepError, UnsupportedError
from terrace.engine.goal import Goal
from terrace.engine.provider import Foreseeing, Found, Open, Placing, Provider, Values
from terrace.engine.state import PROVIDER_PREFIX, Resource, package_of
from terrace.engine.values import MASK, equal, keep_secrets, secret_texts

# The input of a provider resource that says which plugin to load; it isn't its configuration.
_INTERNAL = "__internal"


class Providers:
    """The providers of one operation.

    Args:
        packages: Makes the provider of each package that this engine can deploy.
        resources: The stored resources; the provider resources among them are configured already.
    """

    def __init__(self, packages: Mapping[str, Open], resources: Iterable[Resource]) -> None:
        self._packages = packages
        self._configurations: dict[str, Values] = {}
        self._made: dict[str, Provider] = {}
        self._lock = threading.Lock()
        for resource in resources:
            if resource.type.startswith(PROVIDER_PREFIX):
                self.configure(resource)

    def configure(self, resource: Resource) -> None:
        """Note the configuration of a provider resource, for the resources that refer to it."""
        reference = f"{resource.urn}::{resource.id}"
        with self._lock:
            self._configurations[reference] = resource.inputs
            self._made.pop(reference, None)

    def handles(self, type_: str) -> bool:
        """Whether resources of this type can be deployed."""
        return not type_.startswith(PROVIDER_PREFIX) and package_of(type_) in self._packages

    def check(self, goal: Goal, urn: str, old: Values | None, new: Values) -> Values:
        """The inputs as the provider wants them.

        Raises:
            StepError: The provider refuses some of them.
        """
        if not goal.custom or not self.handles(goal.type):
            return new
        inputs, failures = self._provider(goal.type, goal.provider, urn).check(urn, old, new)
        if failures:
            why = "; ".join(f"{item.property}: {item.reason}" if item.property else item.reason for item in failures)
            raise StepError("its inputs are wrong", where=urn, why=why)
        return inputs

    def diff(self, old: Resource, new: Values) -> Diff:
        """What changed."""
        if old.type.startswith(PROVIDER_PREFIX):
            keys = self._moved(old.type.removeprefix(PROVIDER_PREFIX), old.inputs, new)
            return Diff(not equal(old.outputs, _configuration(new)), replace_keys=keys, replace=bool(keys))
        if not self.handles(old.type):
            return inputs_differ(old.inputs, new)
        return self._of(old).diff(old, new)

    def leads_elsewhere(self, old: Resource, new: Resource) -> bool:
        """Whether the provider that a resource now has keeps its resources elsewhere than the one that it had."""
        before, after = (self._configurations.get(item.provider, {}) for item in (old, new))
        return bool(self._moved(package_of(new.type), before, after))

    def _moved(self, package: str, old: Values, new: Values) -> tuple[str, ...]:
        open_ = self._packages.get(package)
        return open_.moved(_configuration(old), _configuration(new)) if isinstance(open_, Placing) else ()

    def create(self, resource: Resource) -> tuple[str, Values]:
        """Create; returns the id and the outputs."""
        if resource.type.startswith(PROVIDER_PREFIX):
            return str(uuid.uuid4()), _configuration(resource.inputs)
        with _secrets_kept(resource.inputs):
            identifier, outputs = self._of(resource).create(resource)
        if not identifier or not isinstance(identifier, str):
            raise StepError(f"the provider gave no id, but {identifier!r}", where=resource.urn)
        keep_secrets(outputs, resource.inputs)
        return identifier, outputs

    def update(self, old: Resource, new: Resource) -> Values:
        """Update in place; returns the outputs."""
        if new.type.startswith(PROVIDER_PREFIX):
            return _configuration(new.inputs)
        with _secrets_kept(new.inputs):
            outputs = self._of(new).update(old, new)
        keep_secrets(outputs, new.inputs)
        return outputs

    def read(self, resource: Resource) -> Found:
        """Read what is really there."""
        found = self._of(resource).read(resource)
        if found.id and not isinstance(found.id, str):
            raise StepError(f"the provider gave no id, but {found.id!r}", where=resource.urn)
        keep_secrets(found.outputs, resource.outputs or resource.inputs)
        if found.inputs is not None:
            keep_secrets(found.inputs, resource.inputs)
        return found

    def delete(self, resource: Resource) -> None:
        """Delete."""
        if not resource.type.startswith(PROVIDER_PREFIX):
            self._of(resource).delete(resource)

    def preview(self, old: Resource | None, new: Resource | None) -> Values:
        """The outputs that a step would have; without ``new`` it is a deletion."""
        resource = new or old
        provider = self._of(resource) if resource is not None and self.handles(resource.type) else None
        if not isinstance(provider, Foreseeing):
            return dict(new.inputs) if new is not None else {}
        outputs = provider.preview(old, new)
        if new is not None:
            keep_secrets(outputs, new.inputs)
        return outputs

    def obstacles(self) -> list[str]:
        """Why what was previewed can't be carried out now."""
        with self._lock:
            made = list(self._made.values())
        found = [text for provider in made if isinstance(provider, Foreseeing) for text in provider.obstacles()]
        return list(dict.fromkeys(found))

    def _of(self, resource: Resource) -> Provider:
        return self._provider(resource.type, resource.provider, resource.urn)

    def _provider(self, type_: str, reference: str, urn: str) -> Provider:
        open_ = self._packages.get(package_of(type_))
        if open_ is None:
            raise unsupported_type(type_, urn)
        with self._lock:
            if reference not in self._made:
                self._made[reference] = open_(_configuration(self._configurations.get(reference, {})))
            return self._made[reference]


def refuse_unsupported(resources: Iterable[tuple[str, str]], packages: Collection[str]) -> None:
    """Refuse by name, before anything is touched, what only a provider plugin could handle.

    Args:
        resources: (type, URN) of custom resources.
        packages: The packages that this engine can deploy.

    Raises:
        UnsupportedError: One of them needs a plugin.
    """
    for type_, urn in resources:
        if package_of(type_.removeprefix(PROVIDER_PREFIX)) not in packages:
            raise unsupported_type(type_.removeprefix(PROVIDER_PREFIX), urn)


def unsupported_type(type_: str, urn: str) -> UnsupportedError:
    """Why a resource can only be previewed."""
    return UnsupportedError(
        f"{type_} needs the provider plugin of {package_of(type_)}, which the embedded engine can't run",
        where=urn,
        fix="install the Pulumi CLI (https://www.pulumi.com/docs/install/) and use --engine pulumi",
    )


@contextlib.contextmanager
def _secrets_kept(inputs: Values) -> Iterator[None]:
    """Have what a provider says of half-done work keep the secrets of the inputs."""
    try:
        yield
    except PartialError as error:
        keep_secrets(error.outputs, inputs)
        message = str(error)
        for text in secret_texts(inputs):
            message = message.replace(text, MASK)
        raise PartialError(message, error.id, error.outputs) from None


def _configuration(inputs: Values) -> Values:
    return {key: value for key, value in inputs.items() if key != _INTERNAL}
