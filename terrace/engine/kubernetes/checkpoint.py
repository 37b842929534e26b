"""What the state keeps of an object: as it was seen last, and beside it what the provider must know later.

The keys are those of Pulumi's own provider (pulumi-kubernetes 4.34), so that either reads what the other wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from terrace.engine.kubernetes.names import MANAGER_PREFIX, unique
from terrace.engine.kubernetes.objects import Object, hide_secrets, to_object, to_values
from terrace.engine.provider import Values

_INPUTS: Final = "__inputs"
_MANAGER: Final = "__fieldManager"
_INITIAL: Final = "__initialApiVersion"


@dataclass(frozen=True)
class Stored:
    """An object as the state has it.

    Attributes:
        inputs: What was asked for.
        live: What was there.
        manager: Who applies its fields; empty if the state doesn't say.
        api_version: The version of the API that it was created by.
    """

    inputs: Object
    live: Object
    manager: str
    api_version: str


def stored(outputs: Values) -> Stored:
    """Read a resource's outputs."""
    live = to_object(outputs)
    inputs, manager, initial = live.pop(_INPUTS, None), live.pop(_MANAGER, ""), live.pop(_INITIAL, "")
    return Stored(inputs or {}, live, manager, initial or str(live.get("apiVersion") or ""))


def outputs(inputs: Object, live: Object, like: Values, manager: str, api_version: str) -> Values:
    """A resource's outputs.

    Args:
        inputs: What was asked for.
        live: What is there.
        like: The resource's inputs, which say what is secret.
        manager: Who applies its fields.
        api_version: The version of the API that it was created by.
    """
    result = hide_secrets(to_values(live), like)
    result[_INPUTS] = hide_secrets(to_values(inputs), like)
    result[_INITIAL] = api_version
    result[_MANAGER] = manager
    return result


def new_manager() -> str:
    """A name for whoever applies a new object's fields."""
    return unique(MANAGER_PREFIX)
