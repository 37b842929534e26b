"""Transforms: functions of the program that change resources before they are registered.

The program keeps them in a server of its own (the SDK's callback server); a registration names them by that server's
address and a token. Those of the resource itself come first, then those of its parents, then those of the stack.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from terrace.engine.errors import StepError
from terrace.engine.outputs import dependencies, output, outputs_marked

# Options of a registration that have the same name and type in a transform's options; the others are copied by hand.
_SAME_NAME = ("protect", "version", "provider")
_MAPPED = {
    "dependencies": "depends_on",
    "ignoreChanges": "ignore_changes",
    "replaceOnChanges": "replace_on_changes",
    "additionalSecretOutputs": "additional_secret_outputs",
    "retainOnDelete": "retain_on_delete",
    "deletedWith": "deleted_with",
    "importId": "import",
    "pluginDownloadURL": "plugin_download_url",
    "hideDiffs": "hide_diff",
    "replace_with": "replace_with",
}
_MESSAGES = {"custom_timeouts": "customTimeouts", "replacement_trigger": "replacement_trigger", "hooks": "hooks"}


class Transforms:
    """The transforms of one operation."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._own: dict[str, list[Any]] = {}
        self._parents: dict[str, str] = {}
        self._channels: dict[str, Any] = {}
        self._lock = threading.Lock()

    def add_to_stack(self, callback: Any) -> None:
        """Note a transform of everything that is registered from now on."""
        self._stack.append(callback)

    def remember(self, urn: str, request: Any) -> None:
        """Note the transforms of a resource, which hold for its children too."""
        self._own[urn] = list(request.transforms)
        self._parents[urn] = request.parent

    def apply(self, request: Any) -> Any:
        """The registration as its transforms want it.

        Raises:
            StepError: A transform failed.
        """
        callbacks = list(self._all(request))
        if not callbacks:
            return request
        properties, options = _with_dependencies(request), _options(request)
        for callback in callbacks:
            properties, options = self._call(callback, request, properties, options)
        return _changed(request, properties, options)

    def close(self) -> None:
        """Hang up, before the program's server goes away."""
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def _all(self, request: Any) -> Iterable[Any]:
        yield from request.transforms
        parent = request.parent
        while parent:
            yield from self._own.get(parent, ())
            parent = self._parents.get(parent, "")
        yield from self._stack

    def _call(self, callback: Any, request: Any, properties: Any, options: Any) -> tuple[Any, Any]:
        import grpc
        from pulumi.runtime.proto import callback_pb2, resource_pb2

        wanted = resource_pb2.TransformRequest(
            type=request.type,
            name=request.name,
            custom=request.custom,
            parent=request.parent,
            properties=properties,
            options=options,
        )
        call = callback_pb2.CallbackInvokeRequest(token=callback.token, request=wanted.SerializeToString())
        try:
            answer = self._stub(callback.target).Invoke(call)
        except grpc.RpcError as error:
            raise StepError("a transform failed", where=request.name, why=error.details()) from None
        response = resource_pb2.TransformResponse.FromString(answer.response)
        return response.properties, response.options if response.HasField("options") else options

    def _stub(self, target: str) -> Any:
        import grpc
        from pulumi.runtime.proto import callback_pb2_grpc

        with self._lock:
            if target not in self._channels:
                unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
                self._channels[target] = grpc.insecure_channel(target, options=unlimited)
            return callback_pb2_grpc.CallbacksStub(self._channels[target])


def _options(request: Any) -> Any:
    from pulumi.runtime.proto import resource_pb2

    options: Any = resource_pb2.TransformResourceOptions()
    for name in _SAME_NAME:
        _copy(request, name, options, name)
    for theirs, ours in _MAPPED.items():
        _copy(request, theirs, options, ours)
    for urn in request.aliasURNs:
        options.aliases.add().urn = urn
    options.aliases.extend(request.aliases)
    options.providers.update(request.providers)
    for ours, theirs in _MESSAGES.items():
        if request.HasField(theirs):
            getattr(options, ours).CopyFrom(getattr(request, theirs))
    if request.deleteBeforeReplaceDefined:
        options.delete_before_replace = request.deleteBeforeReplace
    return options


def _changed(request: Any, properties: Any, options: Any) -> Any:
    from pulumi.runtime.proto import resource_pb2

    result: Any = resource_pb2.RegisterResourceRequest()
    result.CopyFrom(request)
    for name in _SAME_NAME:
        _copy(options, name, result, name)
    for theirs, ours in _MAPPED.items():
        _copy(options, ours, result, theirs)
    del result.aliasURNs[:], result.aliases[:]
    result.aliases.extend(options.aliases)
    for ours, theirs in _MESSAGES.items():
        result.ClearField(theirs)
        if options.HasField(ours):
            getattr(result, theirs).CopyFrom(getattr(options, ours))
    result.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
    result.deleteBeforeReplace = options.delete_before_replace
    result.object.CopyFrom(properties)
    _note_dependencies(result, request)
    return result


def _copy(source: Any, name: str, target: Any, other: str) -> None:
    value = getattr(source, name)
    if hasattr(value, "extend"):
        field = getattr(target, other)
        del field[:]
        field.extend(value)
    elif not source.DESCRIPTOR.fields_by_name[name].has_presence or source.HasField(name):
        setattr(target, other, value)
    else:
        target.ClearField(other)


def _with_dependencies(request: Any) -> Any:
    """The properties of a registration as a transform sees them: what isn't a plain value is an output."""
    from google.protobuf import struct_pb2

    result = struct_pb2.Struct()
    for key, value in request.object.fields.items():
        result.fields[key].CopyFrom(outputs_marked(value))
    if not request.transforms:  # those of the stack and of parents don't see what the properties depend on
        return result
    for key, given in request.propertyDependencies.items():
        if key in result.fields and not set(given.urns) <= dependencies(result.fields[key]):
            result.fields[key].CopyFrom(output(result.fields[key], depends_on=sorted(given.urns)))
    return result


def _note_dependencies(result: Any, request: Any) -> None:
    found = {key: dependencies(value) for key, value in result.object.fields.items()}
    kept: dict[str, set[str]] = defaultdict(set)
    if not request.transforms:
        for key, given in request.propertyDependencies.items():
            kept[key] = set(given.urns)
    result.propertyDependencies.clear()
    for key, urns in found.items():
        result.propertyDependencies[key].urns.extend(sorted(urns | kept[key]))
    if request.transforms:
        every = set(result.dependencies).union(*found.values())
        del result.dependencies[:]
        result.dependencies.extend(sorted(every))
