"""Asks every service of an environment how it is.

The portal takes this file along, without the rest of Terrace: it needs nothing but Python itself.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import struct
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from terrace.provenance import Source

TIMEOUT_SECONDS = 3.0
HERE = "127.0.0.1"
POSTGRES_PROTOCOL = 0x00030000
CERTIFICATES = "/certificates"  # the page of a link that says when its certificates end
ENDS = re.compile(r'\{certificate="(\w+)"\} (\d+)$', re.MULTILINE)
NOT_YET, EXPIRED = 9, 10  # OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED


@dataclass(frozen=True)
class Health:
    """One service as it was found.

    Attributes:
        slot: The slot that it belongs to.
        flavor: The flavor that made it.
        name: Its name, unique within the environment.
        url: Where people and programs reach it.
        healthy: Whether its probe succeeded.
        detail: What the probe saw.
    """

    slot: str
    flavor: str
    name: str
    url: str
    healthy: bool
    detail: str


@dataclass(frozen=True)
class Status:
    """An environment's services; ``tier`` and ``target`` are None where it isn't up.

    ``deployed`` is what the last `up` was made from, None where nothing says it.
    """

    env: str
    tier: int | None
    target: str | None
    services: tuple[Health, ...]
    deployed: Source | None = None

    @property
    def healthy(self) -> bool:
        """Whether there are services and all of them are healthy."""
        return bool(self.services) and all(service.healthy for service in self.services)

    def document(self) -> dict[str, Any]:
        """Return the status as JSON data."""
        return asdict(self) | {"services": [asdict(service) for service in self.services]}


def examine(env: str, outputs: Mapping[str, Any], ca_file: Path | None = None) -> Status:
    """Probe all services at once.

    Args:
        env: The environment.
        outputs: Its stack outputs: ``tier``, ``target``, ``source``, and ``services``, each with ``slot``,
            ``flavor``, ``name``, ``url``, ``probe_url`` (HTTP or PostgreSQL; empty: only ``probe_port`` is tried),
            and ``probe_port``.
        ca_file: The certificate of the environment's own CA; the default is where the host keeps it.
    """
    return summary(env, outputs, _probe_all(env, outputs.get("services") or (), ca_file))


def summary(env: str, outputs: Mapping[str, Any], found: Iterable[Health]) -> Status:
    """Return the environment's status with the services as they were found."""
    tier = outputs.get("tier")
    deployed = _deployed(outputs.get("source"))
    return Status(env, int(tier) if tier is not None else None, outputs.get("target"), tuple(found), deployed)


def probe(env: str, services: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Probe the services of this host, and return their healths as JSON data."""
    return [asdict(health) for health in _probe_all(env, services, None)]


def _probe_all(env: str, services: Sequence[Mapping[str, Any]], ca_file: Path | None) -> tuple[Health, ...]:
    context = _trust(ca_file or Path(f"/etc/terrace/{env}/ca.crt"))
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        return tuple(pool.map(lambda service: _examine(env, service, context), services))


def _deployed(source: Mapping[str, Any] | None) -> Source | None:
    if not source:
        return None
    from terrace.provenance import Source

    return Source(**source)


def _examine(env: str, service: Mapping[str, Any], context: ssl.SSLContext) -> Health:
    url = service.get("probe_url")
    try:
        detail = _probe(str(url), context) if url else _connect(int(service["probe_port"]))
        healthy = True
    except urllib.error.HTTPError as error:
        error.close()
        detail, healthy = f"HTTP {error.code}", False
    except (OSError, http.client.HTTPException) as error:
        detail, healthy = _of_certificate(env, service, error, context) or _reason(error), False
    return Health(
        str(service["slot"]), str(service["flavor"]), str(service["name"]), str(service["url"]), healthy, detail
    )


def _trust(ca_file: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(ca_file) if ca_file.is_file() else None)


def _get(url: str, context: ssl.SSLContext) -> tuple[int, str]:
    """Return the status and the text of the answer to a GET of ``url``; one of 400 or more is an ``HTTPError``."""
    if not url.startswith(("http://", "https://")):
        raise OSError(f"{url} is no HTTP address")
    direct = urllib.request.ProxyHandler({})  # the services are near; a proxy has no business here
    opener = urllib.request.build_opener(direct, urllib.request.HTTPSHandler(context=context))
    with opener.open(url, timeout=TIMEOUT_SECONDS) as answer:
        return answer.status, answer.read().decode(errors="replace")


def _probe(url: str, context: ssl.SSLContext) -> str:
    address = urllib.parse.urlsplit(url)
    if address.scheme == "postgresql":
        return _greet_postgres(address.hostname or HERE, address.port or 5432)
    status, text = _get(url, context)
    return _look_at_certificates(text) if address.path == CERTIFICATES else f"HTTP {status}"


class _Expired(OSError):
    """The certificate of a link's authority, or its own, has expired: the other hosts don't speak to it."""

    def __init__(self, *, authority: bool) -> None:
        super().__init__("expired")
        self.authority = authority


def _look_at_certificates(page: str) -> str:
    """Return until when a link's certificate is valid."""
    ends = {name: int(end) for name, end in ENDS.findall(page)}
    for name, end in sorted(ends.items()):  # the authority first: nothing is renewed without it
        if end <= time.time():
            raise _Expired(authority=name == "authority")
    return f"certificate valid until {time.strftime('%Y-%m-%d', time.gmtime(ends['server']))}"


def _of_certificate(env: str, service: Mapping[str, Any], error: Exception, context: ssl.SSLContext) -> str:
    """Return what is to be done about the certificate that is at fault; nothing where none is."""
    code = refused_certificate(error)
    if code == NOT_YET:
        return "its certificate isn't valid yet: is this machine's clock right?"
    if code != EXPIRED and not isinstance(error, _Expired):
        return ""
    if not (error.authority if isinstance(error, _Expired) else _authority_has_expired(context)):
        return f"its certificate has expired, and is refused; renew it: terrace up {env}"
    name = str(service["name"])
    whose = name.replace("link", "authority", 1) if service["slot"] == "link" else "authority"
    return f"its authority has expired, and is refused; make another: terrace up {env} --replace platform/{whose}"


def _authority_has_expired(context: ssl.SSLContext) -> bool:
    ends = [ssl.cert_time_to_seconds(str(known["notAfter"])) for known in context.get_ca_certs()]
    return any(end <= time.time() for end in ends)


def refused_certificate(error: Exception) -> int:
    """Return OpenSSL's number for why the certificate of who answered is refused; 0 where that isn't the error."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return cause.verify_code if isinstance(cause, ssl.SSLCertVerificationError) else 0


def _greet_postgres(host: str, port: int) -> str:
    """Begin to log in, as pg_isready does: the server answers with its way to do so, or why it lets nobody in."""
    text = b"user\0terrace\0database\0postgres\0\0"
    with socket.create_connection((host, port), timeout=TIMEOUT_SECONDS) as server:
        server.settimeout(TIMEOUT_SECONDS)
        server.sendall(struct.pack("!ii", 8 + len(text), POSTGRES_PROTOCOL) + text)
        answer = server.recv(4096)
    if answer[:1] == b"R":
        return f"port {port} lets accounts log in"
    fields = {field[:1]: field[1:].decode(errors="replace") for field in answer[5:].split(b"\0") if field}
    why = fields.get(b"M") if answer[:1] == b"E" else "it doesn't answer as PostgreSQL does"
    raise OSError(f"port {port} lets nobody log in: {why}")


def _connect(port: int) -> str:
    with socket.create_connection((HERE, port), timeout=TIMEOUT_SECONDS):
        return f"port {port} accepts connections"


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, TimeoutError):
        return f"no answer in {TIMEOUT_SECONDS:.0f} s"
    if isinstance(cause, ConnectionRefusedError):
        return "nothing listens there"
    return str(cause) or type(cause).__name__
