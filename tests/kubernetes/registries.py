"""Real registries on this machine: the CNCF's `distribution`, built from its Go module."""

from __future__ import annotations

import base64
import contextlib
import datetime
import ipaddress
import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.components.timer_server import free_port, wait_for
from tests.kubernetes.small_images import Registry

USER, PASSWORD = "ann", "pa55word-of-the-tests"
# bcrypt of PASSWORD; Python has none of its own.
HTPASSWD = f"{USER}:$2a$05$FfPE9VLBOciROXQj9k0YQe62whNpEaiySFbkPDdXJFJJLEh2rPpVa\n"
BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@dataclass(frozen=True)
class Certificate:
    """A certificate that is its own authority, for 127.0.0.1, with its key in files."""

    file: Path
    key_file: Path
    key: ec.EllipticCurvePrivateKey
    der: bytes


def certificate(folder: Path) -> Certificate:
    """Make a certificate in ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry of the tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, key_file = folder / "registry.crt", folder / "registry.key"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return Certificate(file, key_file, key, made.public_bytes(serialization.Encoding.DER))


@contextlib.contextmanager
def registry(
    program: Path, folder: Path, *, auth: Mapping[str, Any] | None = None, tls: Certificate | None = None
) -> Iterator[Registry]:
    """Run a registry on a free port of loopback, its images in ``folder``."""
    host = f"127.0.0.1:{free_port()}"
    http_part: dict[str, Any] = {"addr": host}
    if tls:
        http_part["tls"] = {"certificate": str(tls.file), "key": str(tls.key_file)}
    configuration = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": http_part,
        **({"auth": dict(auth)} if auth else {}),
    }
    file = folder / "registry.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    log = folder / "registry.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [program, "serve", str(file)],
            stdout=output,
            stderr=output,
            env={"OTEL_TRACES_EXPORTER": "none"},
        )
        try:
            made = Registry(host, tls.file if tls else None)
            wait_for(lambda: process.poll() is not None or _answers(made))
            assert process.poll() is None, log.read_text()
            yield made
        finally:
            process.terminate()
            process.wait(10)


def _answers(made: Registry) -> bool:
    try:
        return bool(made.request("GET", "/v2/").status in (200, 401))
    except OSError:
        time.sleep(0.02)
        return False


def htpasswd(folder: Path) -> dict[str, Any]:
    """Return the registry's setting that knows USER by PASSWORD."""
    file = folder / "htpasswd"
    file.write_text(HTPASSWD)
    return {"htpasswd": {"realm": "tests", "path": str(file)}}
