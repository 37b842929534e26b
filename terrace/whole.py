"""Values with outputs in them, as one output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi


@dataclass(frozen=True)
class _Gap:
    """Where an output stood, by its number."""

    place: int


@dataclass(frozen=True)
class _Known:
    """What an output holds; Pulumi doesn't look into it."""

    value: Any


def whole(value: Any, *, secret: bool = False) -> pulumi.Output[Any]:
    """Return ``value``, of mappings and sequences, with what every output in it holds; secret where one of them is.

    Pulumi's own `Output.from_input` makes an output of each value in it, thousands for a service's files; this one only
    costs what the outputs in it do.
    """
    known = _whole([value, pulumi.Output.secret("")] if secret else [value])
    return known.apply(lambda held: held.value[0])


def _whole(value: Any) -> pulumi.Output[_Known]:
    outputs: list[pulumi.Output[Any]] = []
    frame = _without(value, outputs)
    return pulumi.Output.all(*(each.apply(_held) for each in outputs)).apply(lambda held: _Known(_filled(frame, held)))


def _without(value: Any, outputs: list[pulumi.Output[Any]]) -> Any:
    """Return ``value`` with a gap for each output, which is added to ``outputs``."""
    if isinstance(value, pulumi.Output):
        outputs.append(value)
        return _Gap(len(outputs) - 1)
    if isinstance(value, Mapping):
        return {name: _without(each, outputs) for name, each in value.items()}
    return [_without(each, outputs) for each in value] if isinstance(value, list | tuple) else value


def _held(value: Any) -> _Known | pulumi.Output[_Known]:
    """Return what an output holds, which may hold outputs as well."""
    within: list[pulumi.Output[Any]] = []
    _without(value, within)
    return _whole(value) if within else _Known(value)


def _filled(frame: Any, held: list[_Known]) -> Any:
    if isinstance(frame, _Gap):
        return held[frame.place].value
    if isinstance(frame, dict):
        return {name: _filled(each, held) for name, each in frame.items()}
    return [_filled(each, held) for each in frame] if isinstance(frame, list) else frame
