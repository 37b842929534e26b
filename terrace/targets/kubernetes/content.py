"""A workload's files, environment, and secrets as a ConfigMap and a Secret.

A text that the program holds is plain. What is an output may be made of a secret, so it goes into the Secret.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pulumi

from terrace.targets.places import Fill, filler_of
from terrace.workload import Workload

CONFIG = "/terrace/config"
DATA = "/terrace/data"
MODE = 0o440  # the pod's group reads them
LARGEST_BYTES = 1024 * 1024 - 64 * 1024  # of an object that etcd takes, less what the API adds


@dataclass(frozen=True)
class Content:
    """What a workload's pod is given.

    Args:
        plain: File's path → text.
        secret: File's path → output that may hold a secret.
        environment: Variable → value.
        secrets: Variable → secret value.
        checksum: Changes with what the processes read once, and so must be started anew for.
    """

    plain: Mapping[str, str]
    secret: Mapping[str, pulumi.Output[str]]
    environment: Mapping[str, pulumi.Input[str]]
    secrets: Mapping[str, pulumi.Input[str]]
    checksum: pulumi.Output[str]

    def config_map(self) -> dict[str, str]:
        """Return the ConfigMap's ``data``.

        Raises:
            ValueError: The files are larger than an object may be (a defect of the flavor).
        """
        size = sum(len(path) + len(text.encode()) for path, text in self.plain.items())
        if size > LARGEST_BYTES:
            raise ValueError(f"its files have {size} bytes, and a ConfigMap holds {LARGEST_BYTES}")
        return {_key(path): text for path, text in self.plain.items()}

    def secret_data(self) -> dict[str, pulumi.Output[str]]:
        """Return the Secret's ``data``."""
        files = {_key(path): text for path, text in self.secret.items()}
        return {key: _encoded(value) for key, value in {**files, **self.secrets}.items()}

    def volume(self, name: str) -> dict[str, Any]:
        """Return the volume of all files, from the ConfigMap and the Secret that are called ``name``."""
        sources = {"configMap": self.plain, "secret": self.secret}
        projected = [
            {kind: {"name": name, "items": [{"key": _key(path), "path": path} for path in files]}}
            for kind, files in sources.items()
            if files
        ]
        return {"name": "config", "projected": {"defaultMode": MODE, "sources": projected}}

    def variables(self, name: str) -> list[dict[str, Any]]:
        """Return a container's ``env``; secrets by reference to the Secret that is called ``name``."""
        plain = [{"name": key, "value": escaped(value)} for key, value in self.environment.items()]
        return [
            *plain,
            *({"name": key, "valueFrom": {"secretKeyRef": {"name": name, "key": key}}} for key in self.secrets),
        ]


def content_of(
    workload: Workload, fill: Fill, more: Mapping[str, pulumi.Input[str]], key: pulumi.Output[str]
) -> Content:
    """Return what a workload's pod is given.

    Args:
        workload: The workload.
        fill: Puts places in.
        more: Secret variables beside the workload's own.
        key: Makes checksums that tell nothing of a short secret.
    """
    plain: dict[str, str] = {}
    secret: dict[str, pulumi.Output[str]] = {}
    for file in workload.files:
        text = fill(file.content)
        if isinstance(text, str):
            plain[file.path] = text
        else:
            secret[file.path] = pulumi.Output.from_input(text)
    environment = {name: fill(value) for name, value in workload.environment.items()}
    secrets = {name: fill(value) for name, value in {**workload.secrets, **more}.items()}
    applied_live = any(step.live for step in workload.setup)
    read_once = {file.path for file in workload.files if applied_live or not file.live}
    told: dict[str, pulumi.Input[str]] = {**plain, **secret}
    told = {path: text for path, text in told.items() if path in read_once}
    return Content(plain, secret, environment, secrets, _checksum({**told, **secrets}, key))


def pod_filler(binaries: str) -> Fill:
    """Return what puts the places of a pod in place of their names.

    Args:
        binaries: The folder of executables in the image.
    """
    places = {"BIN": binaries, "CONFIG": CONFIG, "DATA": DATA, "PYTHON": f"{binaries}/python3", "LISTEN": "0.0.0.0"}  # noqa: S104  # who reaches it, network policies say
    return filler_of(places)


def escaped(value: pulumi.Input[str]) -> pulumi.Input[str]:
    """Return a text that Kubernetes leaves as it is: it would put variables in place of ``$(NAME)``."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    output: pulumi.Output[str] = pulumi.Output.from_input(value)
    return output.apply(lambda text: text.replace("$", "$$"))


def _checksum(told: Mapping[str, pulumi.Input[str]], key: pulumi.Output[str]) -> pulumi.Output[str]:
    def digest(known: list[Any]) -> str:
        secret, values = known
        return hmac.new(secret.encode(), json.dumps(values, sort_keys=True).encode(), hashlib.sha256).hexdigest()

    return pulumi.Output.unsecret(pulumi.Output.all(key, dict(told)).apply(digest))


def _encoded(value: pulumi.Input[str]) -> pulumi.Output[str]:
    output: pulumi.Output[str] = pulumi.Output.from_input(value)
    return pulumi.Output.secret(output.apply(lambda text: base64.b64encode(text.encode()).decode()))


def _key(path: str) -> str:
    """Return the name of a file in an object, where a slash may not be."""
    return path.replace("/", "__")
