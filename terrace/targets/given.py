"""What the stack file says that may be encrypted there."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Literal

import pulumi

from terrace.spec import SecretReference

if TYPE_CHECKING:
    from terrace.resolve import Blueprint


def network_address(blueprint: Blueprint, name: Literal["package_index", "proxy"]) -> pulumi.Input[str] | None:
    """Return an address of the spec's `network`; one that the stack file keeps encrypted is a secret output."""
    value: str | SecretReference | None = getattr(blueprint.network, name)
    if not isinstance(value, SecretReference):
        return value
    return secret_of_spec("network", name)


def secret_of_spec(*path: str) -> pulumi.Output[str]:
    """Return what the stack file keeps encrypted at ``path`` below `terrace:platform`, a secret output."""
    platform: pulumi.Output[Any] = pulumi.Config("terrace").require_secret_object("platform")
    return platform.apply(lambda spec: functools.reduce(lambda part, key: part[key], path, spec))
