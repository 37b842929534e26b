"""Passwords that are made once and kept as Pulumi secrets.

The program proposes a new value on every run; ``ignore_changes`` makes the engine keep the one in its state.
So a password needs no provider plugin, never leaves the state unencrypted, and changes only when its resource
is replaced.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi import dynamic

PASSWORD_BYTES = 24  # 192 bits
PASSWORD_CHARACTERS = 32  # of URL-safe base64


class _PasswordProvider(dynamic.ResourceProvider):
    """Keeps what it is given. Stateless; pickled into the state by this module's name."""

    serialize_as_secret_always = False

    def create(self, props: Mapping[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult(id_="password", outs=dict(props))


class Password(dynamic.Resource, module="terrace", name="Password"):
    """A generated password; ``value`` is a secret output."""

    value: pulumi.Output[str]

    def __init__(self, name: str, parent: pulumi.Resource) -> None:
        super().__init__(
            _PasswordProvider(),
            name,
            {"value": pulumi.Output.secret(secrets.token_urlsafe(PASSWORD_BYTES))},
            pulumi.ResourceOptions(parent=parent, ignore_changes=["value"], additional_secret_outputs=["value"]),
        )
