"""`terrace status` against real listeners on loopback."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from terrace import status
from terrace.provenance import Source
from tests.unit.listening import Quiet, listening


class Answering(Quiet, http.server.BaseHTTPRequestHandler):
    """Answers /ok, hangs on /slow, and refuses everything else."""

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1)
        self.send_response(200 if self.path == "/ok" else 503)
        self.end_headers()


@pytest.fixture
def port() -> Iterator[int]:
    with listening(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)) as port:
        yield port


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
        return number


def outputs(probe_url: str, probe_port: int = 0) -> dict[str, Any]:
    service = {
        "slot": "tracking",
        "flavor": "mlflow",
        "name": "mlflow",
        "url": "https://localhost/mlflow/",
        "probe_url": probe_url,
        "probe_port": probe_port,
    }
    return {"tier": 3.0, "target": "host", "services": [service]}


def test_a_service_that_answers_is_healthy(port: int) -> None:
    found = status.examine("local", outputs(f"http://127.0.0.1:{port}/ok"))

    assert found.healthy
    assert found.document() == {
        "env": "local",
        "tier": 3,
        "target": "host",
        "services": [
            {
                "slot": "tracking",
                "flavor": "mlflow",
                "name": "mlflow",
                "url": "https://localhost/mlflow/",
                "healthy": True,
                "detail": "HTTP 200",
            }
        ],
        "deployed": None,
    }


def test_the_outputs_say_what_was_deployed() -> None:
    source = {"commit": "abc", "dirty": True, "digest": "123"}
    assert status.examine("local", {"source": source}).deployed == Source("abc", dirty=True, digest="123")


def test_an_error_answer_is_unhealthy(port: int) -> None:
    found = status.examine("local", outputs(f"http://127.0.0.1:{port}/broken"))

    assert not found.healthy
    assert found.services[0].detail == "HTTP 503"


def test_a_silent_service_is_unhealthy(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "TIMEOUT_SECONDS", 0.2)

    found = status.examine("local", outputs(f"http://127.0.0.1:{port}/slow"))

    assert not found.healthy
    assert found.services[0].detail.startswith("no answer in")


def test_without_a_probe_address_the_port_is_tried(port: int, closed_port: int) -> None:
    assert status.examine("local", outputs("", port)).healthy

    down = status.examine("local", outputs("", closed_port))
    assert not down.healthy
    assert down.services[0].detail == "nothing listens there"


def test_a_file_address_is_not_opened(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text("x")

    found = status.examine("local", outputs((tmp_path / "secret").as_uri()))

    assert not found.healthy
    assert "no HTTP address" in found.services[0].detail


def test_one_service_down_makes_the_environment_unhealthy(port: int, closed_port: int) -> None:
    both = outputs(f"http://127.0.0.1:{port}/ok")
    both["services"] += outputs("", closed_port)["services"]

    found = status.examine("local", both)

    assert [service.healthy for service in found.services] == [True, False]
    assert not found.healthy


def test_an_environment_that_is_not_up_is_not_healthy() -> None:
    found = status.examine("local", {})

    assert not found.healthy
    assert found.document() == {"env": "local", "tier": None, "target": None, "services": [], "deployed": None}


@pytest.mark.parametrize(
    ("answer", "healthy", "detail"),
    [
        (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0", True, "port {} lets accounts log in"),
        (
            b"E\0\0\0\x40SFATAL\0C57P03\0Mthe database system is starting up\0\0",
            False,
            "port {} lets nobody log in: the database system is starting up",
        ),
        (b"HTTP/1.1 400 Bad Request\r\n", False, "port {} lets nobody log in: it doesn't answer as PostgreSQL does"),
        (b"", False, "port {} lets nobody log in: it doesn't answer as PostgreSQL does"),
    ],
)
def test_postgres_is_asked_whether_it_lets_accounts_in(answer: bytes, healthy: bool, detail: str) -> None:
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                asked.append(connection.recv(4096))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        found = status.examine("nowhere", outputs(f"postgresql://127.0.0.1:{port}")).services[0]
        thread.join()
    assert (found.healthy, found.detail) == (healthy, detail.format(port))
    assert asked[0][4:8] == b"\0\3\0\0"
    assert len(asked[0]) == int.from_bytes(asked[0][:4], "big")


def test_postgres_that_is_down_is_unhealthy(closed_port: int) -> None:
    found = status.examine("nowhere", outputs(f"postgresql://127.0.0.1:{closed_port}")).services[0]
    assert (found.healthy, found.detail) == (False, "nothing listens there")
