"""SSH key pairs that are made once and kept in the state like a password."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from pulumi import dynamic


class _SshKeyProvider(dynamic.ResourceProvider):
    """Keeps what it is given. Stateless; pickled into the state by this module's name."""

    serialize_as_secret_always = False

    def create(self, props: Mapping[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult(id_="ssh-key", outs=dict(props))


class SshKey(dynamic.Resource, module="terrace", name="SshKey"):
    """An Ed25519 key pair: ``public`` («type base64») for everybody, ``key`` (OpenSSH's own PEM) a secret."""

    public: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, parent: pulumi.Resource) -> None:
        public, key = pair()
        super().__init__(
            _SshKeyProvider(),
            name,
            {"public": public, "key": pulumi.Output.secret(key)},
            pulumi.ResourceOptions(parent=parent, ignore_changes=["public", "key"], additional_secret_outputs=["key"]),
        )


def pair() -> tuple[str, str]:
    """Return a new pair's public and private key."""
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return public.decode(), private.decode()
