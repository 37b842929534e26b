"""What a Pulumi program in Python has to say for a resource that was imported."""

from __future__ import annotations

import pprint
import re
from collections.abc import Mapping
from typing import Any

from terrace.engine.model import ResourceState
from terrace.engine.values import MASK

WIDTH = 100
TYPED = re.compile(r"kubernetes:(?P<group>[a-z]+)(?:\.k8s\.io|\.[a-z]+\.k8s\.io)?/(?P<version>v\w+):(?P<kind>\w+)")


def program_text(resource: ResourceState) -> str:
    """Return the call that makes the resource; empty where that can't be told.

    A secret is left to the stack's configuration, so that no program has it in plain.
    """
    found = TYPED.fullmatch(resource.type)
    if found is None:
        return ""
    arguments = {part: value for part, value in resource.inputs.items() if part not in ("apiVersion", "kind")}
    lines = [f"    {_snake(part)}={_value(part, value, resource)}," for part, value in arguments.items()]
    if resource.protect:
        lines.append("    opts=pulumi.ResourceOptions(protect=True),")
    name = resource.urn.rpartition("::")[2]
    what = f"pulumi_kubernetes.{found['group']}.{found['version']}.{found['kind']}"
    return "\n".join([f"{what}(", f"    {name!r},", *lines, ")"])


def _value(part: str, value: Any, resource: ResourceState) -> str:
    if _has_secret(value):
        return f"pulumi.Config().require_secret_object({resource.urn.rpartition('::')[2] + '-' + part!r})"
    return pprint.pformat(value, width=WIDTH, sort_dicts=False).replace("\n", "\n    ")


def _has_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_has_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(_has_secret(item) for item in value)
    return bool(value == MASK)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()
