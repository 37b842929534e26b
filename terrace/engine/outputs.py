"""Output values on the wire: a value with what it depends on, whether it is secret, and whether it is known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf import struct_pb2

from terrace.engine.values import OUTPUT, SECRET, SIGNATURE, UNKNOWN_WIRE


def output(value: Any, *, secret: bool = False, depends_on: Iterable[str] = ()) -> struct_pb2.Value:
    """An output of a protobuf Value; what is an output already is only added to. None stands for an unknown value."""
    result = struct_pb2.Value()
    fields = result.struct_value.fields
    if value is not None and _signature(value) == OUTPUT:
        result.CopyFrom(value)
    else:
        fields[SIGNATURE].string_value = OUTPUT
        if value is not None:
            fields["value"].CopyFrom(value)
    if secret:
        fields["secret"].bool_value = True
    urns = dependencies(result) | set(depends_on)
    if urns:
        fields["dependencies"].list_value.Clear()
        fields["dependencies"].list_value.extend(sorted(urns))
    return result


def outputs_marked(value: Any) -> struct_pb2.Value:
    """The value with every secret and every unknown value in it as an output."""
    if value.WhichOneof("kind") == "string_value" and value.string_value == UNKNOWN_WIRE:
        return output(None)
    if _signature(value) == SECRET:
        return output(outputs_marked(value.struct_value.fields["value"]), secret=True)
    result = struct_pb2.Value()
    if value.WhichOneof("kind") == "list_value":
        result.list_value.values.extend(outputs_marked(item) for item in value.list_value.values)
    elif value.WhichOneof("kind") == "struct_value":
        result.struct_value.SetInParent()
        for key, item in value.struct_value.fields.items():
            result.struct_value.fields[key].CopyFrom(outputs_marked(item))
    else:
        result.CopyFrom(value)
    return result


def dependencies(value: Any) -> set[str]:
    """The URNs that the outputs inside a protobuf Value depend on."""
    kind = value.WhichOneof("kind")
    if kind == "list_value":
        return set().union(*map(dependencies, value.list_value.values))
    if kind != "struct_value":
        return set()
    fields = value.struct_value.fields
    found: set[str] = set().union(*map(dependencies, fields.values()))
    if _signature(value) == OUTPUT and "dependencies" in fields:
        found.update(item.string_value for item in fields["dependencies"].list_value.values)
    return found


def _signature(value: Any) -> str:
    """The signature of a special value, else empty."""
    if value.WhichOneof("kind") != "struct_value" or SIGNATURE not in value.struct_value.fields:
        return ""
    text: str = value.struct_value.fields[SIGNATURE].string_value
    return text
