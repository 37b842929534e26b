"""Puts small images in a registry by its own API. Only the standard library: a played `docker` starts it often."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


class Registry:
    """A registry that runs, and what puts images in it.

    ``authorization`` returns the header that allows to push to a repository.

    Args:
        host: Its address with its port, as in an image's name.
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
            "mediaType": MANIFEST,
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
                headers={"Accept": MANIFEST, "Authorization": self.authorization(repository)},
            )
            platform = {"architecture": architecture, "os": "linux"}
            size = int(head.headers["Content-Length"])
            parts.append({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": platform})
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": parts}
        return str(self.put_manifest(repository, tag, index)["digest"])


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
