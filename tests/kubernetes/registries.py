"""Real registries on this machine (the CNCF's `distribution`), and small images to put in them."""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import http.client
import ipaddress
import json
import ssl
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

from terrace.images.registry import INDEXES, SINGLE
from tests.components.timer_server import free_port, wait_for
from tests.kubernetes.go_modules import built

MODULE = Path(__file__).parent / "registry"
PACKAGE = "github.com/distribution/distribution/v3/cmd/registry"
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


class Registry:
    """A registry that runs, and what puts images in it.

    Args:
        host: Its address with its port, as in an image's name.
        authorization: Returns the header that allows to push to a repository.
        trusted: The certificate to trust, where it speaks TLS.
    """

    def __init__(self, host: str, trusted: Path | None) -> None:
        self.host = host
        self._trusted = trusted
        self.authorization: Any = lambda _repository: ""

    def request(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Any:
        connection: http.client.HTTPConnection = http.client.HTTPConnection(self.host, timeout=10)
        if self._trusted:
            context = ssl.create_default_context(cafile=self._trusted)
            connection = http.client.HTTPSConnection(self.host, timeout=10, context=context)
        with contextlib.closing(connection):
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            answer.read()
            return answer

    def put_blob(self, repository: str, content: bytes) -> dict[str, Any]:
        """Put a layer or a configuration there; returns its size and digest."""
        shown = {"Authorization": self.authorization(repository)}
        begun = self.request("POST", f"/v2/{repository}/blobs/uploads/", headers=shown)
        assert begun.status == 202, begun.status
        digest = digest_of(content)
        place = begun.headers["Location"].partition(self.host)[2] or begun.headers["Location"]
        headers = {"Content-Type": "application/octet-stream", **shown}
        done = self.request("PUT", f"{place}&digest={digest}", content, headers)
        assert done.status == 201, done.status
        return {"digest": digest, "size": len(content)}

    def put_manifest(self, repository: str, tag: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """Put a manifest or an index there; returns its size and digest."""
        content = json.dumps(document).encode()
        headers = {"Content-Type": document["mediaType"], "Authorization": self.authorization(repository)}
        done = self.request("PUT", f"/v2/{repository}/manifests/{tag}", content, headers)
        assert done.status == 201, done.status
        assert done.headers["Docker-Content-Digest"] == digest_of(content)
        return {"digest": digest_of(content), "size": len(content)}

    def push(self, repository: str, tag: str, content: str = "x", architecture: str = "amd64") -> str:
        """Put a small image for one platform there, and return its digest."""
        settings = {"architecture": architecture, "os": "linux", "config": {}, "rootfs": {"type": "layers"}}
        config = self.put_blob(repository, json.dumps(settings).encode())
        layer = self.put_blob(repository, content.encode())
        document = {
            "schemaVersion": 2,
            "mediaType": SINGLE[0],
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", **layer}],
        }
        return str(self.put_manifest(repository, tag, document)["digest"])

    def push_index(self, repository: str, tag: str, content: str = "x") -> str:
        """Put a small image for two platforms there, and return its digest."""
        parts = []
        for architecture in ("amd64", "arm64"):
            digest = self.push(repository, f"{tag}-{architecture}", content, architecture)
            head = self.request(
                "HEAD",
                f"/v2/{repository}/manifests/{digest}",
                headers={"Accept": SINGLE[0], "Authorization": self.authorization(repository)},
            )
            platform = {"architecture": architecture, "os": "linux"}
            size = int(head.headers["Content-Length"])
            parts.append({"mediaType": SINGLE[0], "digest": digest, "size": size, "platform": platform})
        index = {"schemaVersion": 2, "mediaType": INDEXES[0], "manifests": parts}
        return str(self.put_manifest(repository, tag, index)["digest"])


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@contextlib.contextmanager
def registry(
    folder: Path, *, auth: Mapping[str, Any] | None = None, tls: Certificate | None = None
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
            [built(MODULE, PACKAGE), "serve", str(file)],
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
