"""What a host itself says of an environment: what is converged, listens, is supervised, and of which versions data is.

And of which services the certificate has expired.

It is also run on other hosts, without the rest of Terrace: it needs nothing but Python itself.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MANIFESTS = Path("/etc/terrace")
DATA = Path("/var/lib/terrace")
SYSTEMD = Path("/run/systemd/system")
SUPERVISORS = Path("/run/terrace")  # not there after a reboot
SOCKETS = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
LISTENING = "0A"
SUFFIX = ".converged"
PAGE = "tls/metrics/certificates"  # components/gateway/programs/certificates.py writes it
END = re.compile(r'\{certificate="server"\} (\d+)$', re.MULTILINE)


def look(environment: str) -> dict[str, Any]:
    """Return what the host says.

    These are ``marks`` {role and instance: digest}, ``ports`` that are listened on, whether it is ``supervised``,
    ``versions`` {service: the version that its data is of}, and ``expired``: services whose certificate is. ``marks``
    is None for a user who may not read them, who finds nothing expired either. Ports count where a service listens, on
    loopback or everywhere.
    """
    return {
        "marks": _marks(environment),
        "ports": sorted(_listening()),
        "supervised": _supervised(environment),
        "versions": _versions(environment),
        "expired": sorted(_expired(environment)),
    }


def _expired(environment: str) -> Iterator[str]:
    for page in (DATA / environment).glob(f"*/{PAGE}"):
        with contextlib.suppress(OSError):
            end = END.search(page.read_text(encoding="utf-8"))
            if end and int(end[1]) <= time.time():
                yield page.relative_to(DATA / environment).parts[0]


def _versions(environment: str) -> dict[str, str]:
    folder = DATA / environment / "versions"
    files = folder.iterdir() if folder.is_dir() else ()
    return {file.name: file.read_text(encoding="utf-8").strip() for file in files if not file.name.startswith(".")}


def _marks(environment: str) -> dict[str, str] | None:
    folder = MANIFESTS / environment / "manifest.d"
    try:
        files = [file for file in folder.iterdir() if file.suffix == SUFFIX] if folder.is_dir() else []
        return {file.name.removesuffix(SUFFIX): file.read_text(encoding="utf-8") for file in files}
    except FileNotFoundError:  # it went meanwhile
        return {}
    except PermissionError:
        return None


def _supervised(environment: str) -> bool:
    if SYSTEMD.is_dir():
        return True
    try:
        process = (SUPERVISORS / environment / "supervisord.pid").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return False
    except PermissionError:
        return True
    return Path("/proc", process).exists()


def _listening() -> set[int]:
    tables = [table.read_text().splitlines()[1:] for table in SOCKETS if table.is_file()]
    sockets = [line.split() for lines in tables for line in lines]
    places = [words[1].split(":") for words in sockets if words[3] == LISTENING]
    return {int(port, 16) for address, port in places if not _is_apart(address)}


def _is_apart(address: str) -> bool:
    """Tell whether it is one IPv4 address that isn't loopback: there the links to other hosts listen."""
    return len(address) == 8 and not address.endswith("7F") and address != "00000000"
