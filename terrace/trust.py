"""The certificate that clients on this machine trust, where the platform runs on others."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def with_own_certificate(project: str, env: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``outputs`` with a file of this user's in place of the hosts' certificate, which is written.

    Where the platform runs on this machine alone there is nothing to do.
    """
    certificate, connection = outputs.get("certificate"), outputs.get("connection")
    if not certificate or not isinstance(connection, Mapping):
        return dict(outputs)
    file = certificate_file(project, env)
    _write(file, str(certificate))
    there = f"/etc/terrace/{env}/ca.crt"
    own = {name: str(file) if value == there else value for name, value in connection.items()}
    return {**outputs, "connection": own}


def certificate_file(project: str, env: str) -> Path:
    """Return where it is kept: outside of every checkout."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return home / "terrace" / project / f"{env}.ca.crt"


def _write(file: Path, text: str) -> None:
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
    Path(name).replace(file)
