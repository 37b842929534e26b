"""An environment's own certificate authority, made once and kept in the state like a password."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import pulumi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pulumi import dynamic

VALID_DAYS = 3650


class _AuthorityProvider(dynamic.ResourceProvider):
    """Keeps what it is given. Stateless; pickled into the state by this module's name."""

    serialize_as_secret_always = False

    def create(self, props: Mapping[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult(id_="authority", outs=dict(props))


class CertificateAuthority(dynamic.Resource, module="terrace", name="CertificateAuthority"):
    """A self-signed authority: ``certificate`` (PEM) for everybody, ``key`` (PEM) a secret."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]

    def __init__(self, name: str, subject: str, parent: pulumi.Resource) -> None:
        certificate, key = _authority(subject)
        super().__init__(
            _AuthorityProvider(),
            name,
            {"certificate": certificate, "key": pulumi.Output.secret(key)},
            pulumi.ResourceOptions(
                parent=parent, ignore_changes=["certificate", "key"], additional_secret_outputs=["key"]
            ),
        )


def _authority(subject: str) -> tuple[str, str]:
    """Return a new authority's certificate and key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem, private.decode()


_CA_USAGE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)
