"""A certificate that has expired is told as that, by every way to the platform, with what to do about it."""

from __future__ import annotations

import datetime
import http.server
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from components.gateway.programs import certificates as program
from terrace import certificates, host_facts, status
from terrace.alerts import AlertsClient
from terrace.errors import OperationError
from terrace.host_ansible import Task, is_up
from terrace.pipelines import PipelineClient
from terrace.web import Client
from tests.unit.listening import Quiet, listening

AGO = -0.01  # days, less than the hour before now from which certificates are valid
METRIC = program.METRIC


class Ahead(datetime.datetime):
    """A clock that is six hours ahead."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Self:
        return super().now(tz) + datetime.timedelta(hours=6)


class Answering(Quiet, http.server.BaseHTTPRequestHandler):
    """Answers everything, with a page when certificates end."""

    page = b""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.page)


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that refuse its certificate."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def fault() -> str:
    """What is wrong; tests say it."""
    return ""


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> Iterator[int]:
    """A server with a certificate at ``fault``; its authority's is ``ca.crt``."""
    with monkeypatch.context() as made:
        if fault == "authority":
            made.setattr(certificates, "VALID_DAYS", AGO)
        if fault == "server":
            made.setattr(program, "VALID_DAYS", AGO)
        certificate, private = certificates._authority("Terrace tests")
        key = serialization.load_pem_private_key(private.encode(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        if fault == "clock":
            made.setattr(f"{program.__name__}.datetime.datetime", Ahead)
        program.issue(tmp_path, x509.load_pem_x509_certificate(certificate.encode()), key, ["localhost"])
    (tmp_path / "ca.crt").write_text(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    server = Server(("127.0.0.1", 0), Answering)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with listening(server) as number:
        yield number


def _look(slot: str, name: str, url: str, ca_file: Path | None = None) -> tuple[bool, str]:
    service = {"slot": slot, "flavor": "nginx", "name": name, "url": "", "probe_url": url, "probe_port": 0}
    found = status.examine("local", {"services": [service]}, ca_file).services[0]
    return found.healthy, found.detail


def _page(ends: Mapping[str, int]) -> str:
    """Return what the program writes: of each certificate, when it ends, here in seconds from now."""
    lines = [f'{METRIC}{{certificate="{name}"}} {time.time() + left:.0f}\n' for name, left in ends.items()]
    return f"# TYPE {METRIC} gauge\n{''.join(lines)}"


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("", "HTTP 200"),
        ("server", "its certificate has expired, and is refused; renew it: terrace up local"),
        (
            "authority",
            "its authority has expired, and is refused; make another: terrace up local --replace platform/authority",
        ),
        ("clock", "its certificate isn't valid yet: is this machine's clock right?"),
    ],
)
def test_the_gateways_is_told_with_what_to_do(port: int, tmp_path: Path, fault: str, said: str) -> None:
    for slot, name in (("gateway", "gateway"), ("data_versioning", "dvc")):  # what is asked through it shows the same
        assert _look(slot, name, f"https://localhost:{port}/healthz", tmp_path / "ca.crt") == (not fault, said)


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({"server": 3600, "authority": 7200}, "certificate valid until 20"),
        ({"server": -1, "authority": 7200}, "its certificate has expired, and is refused; renew it: terrace up local"),
        (
            {"server": -1, "authority": -1},
            "its authority has expired, and is refused; make another: terrace up local --replace platform/authority-a",
        ),
    ],
)
def test_a_links_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, ends: dict[str, int], said: str) -> None:
    monkeypatch.setattr(Answering, "page", _page(ends).encode())
    with listening(Server(("127.0.0.1", 0), Answering)) as port:
        healthy, detail = _look("link", "link-a", f"http://127.0.0.1:{port}{status.CERTIFICATES}")
    assert detail.startswith(said)
    assert healthy is (ends["server"] > 0)


def _web(url: str, ca_file: Path) -> Any:
    return Client(url, "terrace", "x", str(ca_file)).request("GET", "/")


def _alerts(url: str, ca_file: Path) -> Any:
    return AlertsClient(f"{url}/", "terrace", "x", ca_file).active()


def _pipelines(url: str, ca_file: Path) -> Any:
    return PipelineClient(url, "terrace", "x", ca_file).pipelines()


@pytest.mark.parametrize("ask", [_web, _alerts, _pipelines])
@pytest.mark.parametrize("fault", ["server"])
def test_every_client_says_what_it_is(port: int, tmp_path: Path, ask: Callable[[str, Path], Any]) -> None:
    with pytest.raises(OperationError) as refused:
        ask(f"https://localhost:{port}", tmp_path / "ca.crt")
    assert refused.value.why == "the certificate there has expired"
    assert "`terrace up <env>` renews it" in (refused.value.fix or "")


@pytest.mark.parametrize(("left", "up"), [(-1, False), (60, True)])
def test_a_service_whose_certificate_has_expired_is_not_up(left: int, up: bool) -> None:
    page = host_facts.DATA / "local" / "gateway" / host_facts.PAGE
    page.parent.mkdir(parents=True)
    page.write_text(_page({"authority": 600, "server": left}))
    host = {"name": "here", "connection": "local"}
    assert is_up(Task(host, "local", "service", "gateway", {}, "d1")) is up
    assert is_up(Task(host, "local", "service", "mlflow", {}, "d1"))
