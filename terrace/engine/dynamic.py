"""Runs dynamic providers in this process, the way Pulumi's own provider host (``pulumi.dynamic.__main__``) runs them.

A dynamic provider is an object pickled into the resource's ``__provider`` property. It sees plain values: no secrets,
whole numbers as floats, no nested nulls in inputs; exactly what crosses the wire between the Pulumi CLI and its host.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import dill
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider, dynamic
from pulumi.runtime import Settings, configure, rpc
from pulumi.runtime._serialization import _deserialize

from terrace.engine.diff import Diff, inputs_differ
from terrace.engine.errors import StepError
from terrace.engine.provider import Failure, Found
from terrace.engine.state import Resource
from terrace.engine.values import PROVIDER_KEY, Unknown, contains, from_wire, keep_secrets, to_wire

if TYPE_CHECKING:
    from collections.abc import Mapping

_T = TypeVar("_T")
_Values = dict[str, Any]
PACKAGE = "pulumi-python"


class DynamicProviders:
    """The dynamic providers of one operation. Together they are the provider of the package ``pulumi-python``.

    Args:
        project: The project's name.
        config: The stack's whole configuration, which ``configure`` gets, decrypted.
        context: What providers' threads run in, beyond the program's own context; already captures their output.
    """

    def __init__(self, project: str, config: Mapping[str, str], context: contextvars.Context) -> None:
        self._config = Config(raw_config=dict(config), project_name=project)
        self._context = context.copy()
        # Pulumi's provider host doesn't know the stack's name either: providers see "stack".
        self._context.run(configure, Settings(project=project, stack="stack", organization="organization"))
        self._cache: dict[str, ResourceProvider] = {}
        self._lock = threading.Lock()

    def check(self, _urn: str, old: _Values | None, new: _Values) -> tuple[_Values, list[Failure]]:
        """The inputs as the provider wants them, and what is wrong with them."""

        def call() -> tuple[_Values, list[Failure]]:
            olds, news = _plain(old or {}, keep_unknowns=True), _plain(new, keep_unknowns=True)
            result = self._provider(news, olds).check(olds, news)
            inputs = {**result.inputs, PROVIDER_KEY: news[PROVIDER_KEY]}
            return self._values(inputs), [Failure(item.property, item.reason) for item in result.failures or []]

        inputs, failures = self._run(call)
        keep_secrets(inputs, new)
        return inputs, failures

    def diff(self, resource: Resource, new: _Values) -> Diff:
        """Whether going from ``resource`` to the inputs ``new`` is a change, or needs a replacement."""

        def call() -> Diff:
            olds, news = _plain(resource.outputs, keep_unknowns=True), _plain(new, keep_unknowns=True)
            result = self._provider(news, olds).diff(resource.id, olds, news)
            replaces = tuple(result.replaces or ())
            delete_first = bool(result.delete_before_replace)
            if result.changes is None:
                found = inputs_differ(resource.inputs, new)
                return Diff(found.changed, replaces, found.changed_keys, found.detailed, bool(replaces), delete_first)
            return Diff(bool(result.changes), replaces, replace=bool(replaces), delete_first=delete_first)

        return self._run(call)

    def create(self, new: Resource) -> tuple[str, _Values]:
        """Create; returns the id and the outputs."""

        def call() -> tuple[str, _Values]:
            props = _plain(new.inputs)
            result = self._provider(props).create(props)
            return result.id, self._outputs(result.outs, props)

        return self._run(call)

    def update(self, old: Resource, new: Resource) -> _Values:
        """Update in place; returns the outputs."""

        def call() -> _Values:
            olds, news = _plain(old.outputs), _plain(new.inputs)
            result = self._provider(news).update(old.id, olds, news)
            return self._outputs(result.outs, news)

        return self._run(call)

    def read(self, resource: Resource) -> Found:
        """Read what is really there."""
        known = resource.outputs or resource.inputs
        if PROVIDER_KEY not in known:
            raise StepError(
                "a dynamic resource can't be imported",
                where=resource.urn,
                why="which code reads it stands in its own inputs",
                fix="have its `create` accept what is there already",
            )

        def call() -> Found:
            props = _plain(known)
            result = self._provider(props).read(resource.id, props)
            new_inputs = None
            if result.inputs is not None:
                new_inputs = self._values({**result.inputs, PROVIDER_KEY: props[PROVIDER_KEY]})
            return Found(result.id or "", new_inputs, self._outputs(result.outs, props))

        return self._run(call)

    def delete(self, resource: Resource) -> None:
        """Delete."""

        def call() -> None:
            props = _plain(resource.outputs)
            self._provider(props).delete(resource.id, props)

        self._run(call)

    def _run(self, call: Callable[[], _T]) -> _T:
        return self._context.copy().run(call)

    def _provider(self, props: _Values, otherwise: _Values | None = None) -> ResourceProvider:
        pickled = props[PROVIDER_KEY]
        if not isinstance(pickled, str):  # unknown in a preview: it captured an output
            pickled = (otherwise or {})[PROVIDER_KEY]
        with self._lock:
            provider = self._cache.get(pickled)
            if provider is None:
                provider = _deserialize(lambda: dill.loads(base64.b64decode(pickled)))  # noqa: S301 - our own state
                provider.configure(ConfigureRequest(config=self._config))
                self._cache[pickled] = provider
            return provider

    def _outputs(self, outputs: _Values | None, props: _Values) -> _Values:
        return self._values({**(outputs or {}), PROVIDER_KEY: props[PROVIDER_KEY]})

    @staticmethod
    def _values(plain: _Values) -> _Values:
        """What the provider returned, as it would come over the wire."""
        serializing = rpc.serialize_properties(plain, {})
        try:
            serializing.send(None)
        except StopIteration as finished:  # plain values need no event loop, which is slow to make
            return from_wire(finished.value)
        serializing.close()
        loop = asyncio.new_event_loop()
        try:
            return from_wire(loop.run_until_complete(rpc.serialize_properties(plain, {})))
        finally:
            loop.close()


@contextlib.contextmanager
def clean_pickling() -> Iterator[None]:
    """Undo, after each pickling of a provider, what the SDK does to Python's pickler.

    ``pulumi.dynamic.serialize_provider`` (3.272) wraps a method of ``pickle._Pickler`` at every call and never unwraps
    it, so that the few hundredth resource of a process exceeds the recursion limit, and each is slower than the last.
    """
    serialize = dynamic.serialize_provider
    pickler: Any = pickle._Pickler

    def serialize_cleanly(provider: ResourceProvider) -> str:
        methods = pickler._batch_setitems, pickler.save_dict
        try:
            text: str = serialize(provider)
        finally:
            pickler._batch_setitems, pickler.save_dict = methods
        return text

    dynamic.serialize_provider = serialize_cleanly
    try:
        yield
    finally:
        dynamic.serialize_provider = serialize


def _plain(values: _Values, *, keep_unknowns: bool = False) -> _Values:
    """Values as a provider gets them."""
    if not keep_unknowns and contains(values, Unknown):
        values = {key: value for key, value in values.items() if not contains(value, Unknown)}
    plain: _Values = rpc.deserialize_properties(to_wire(values, secrets=False), keep_unknowns)
    return plain
