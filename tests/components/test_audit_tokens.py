"""The audit log in a cluster: each source shows a token."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.audit.programs.audit_log.folders import open_chain
from components.audit.programs.audit_log.server import Server
from components.audit.programs.audit_log.settings import Settings
from components.audit.programs.audit_log.tokens import token
from components.audit.programs.audit_log.watch import Watch
from tests.components.audit_world import KEY, event

SOURCE_KEY = b"of sources"
SERVING, GATEWAY = (f"Bearer {token(SOURCE_KEY, name)}" for name in ("mlserver", "gateway"))


class InCluster:
    """The service where sources show tokens."""

    def __init__(self, folder: Path) -> None:
        self.store = open_chain(folder, KEY)
        told = Settings("test", folder, KEY, 0, (), 365, 3600, source_key=SOURCE_KEY)
        self.server = Server(told, self.store, Watch(told, self.store))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def ask(self, method: str, path: str, **headers: str) -> int:
        body = json.dumps({"events": [vars(event(1))]}) if method == "POST" else None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def sources(self) -> list[str]:
        return [record["source"] for record in self.store.find("", "", "", 10)]

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.store.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[InCluster]:
    """That service, with a log that is empty."""
    service = InCluster(tmp_path)
    yield service
    service.stop()


@pytest.mark.parametrize(
    "shown",
    [
        "",
        SERVING.removeprefix("Bearer "),
        SERVING.replace("mlserver", "gateway"),
        f"Bearer mlserver:{'0' * 64}",
        f"Bearer {token(b'another', 'mlserver')}",
        "Bearer gateway",
    ],
)
def test_without_the_right_token_nobody_sends_or_reads(log: InCluster, shown: str) -> None:
    for method, path in (("POST", "/events"), ("GET", "/records"), ("GET", "/"), ("GET", "/log")):
        assert log.ask(method, path, Authorization=shown) == 403
    assert log.sources() == ["audit"]
    assert log.ask("GET", "/health") == log.ask("GET", "/metrics") == 200


def test_a_source_is_who_its_token_says_and_reads_nothing(log: InCluster) -> None:
    assert log.ask("POST", "/events", Authorization=SERVING) == 200
    assert log.sources()[-1] == "mlserver"
    assert log.ask("GET", "/records", Authorization=SERVING) == 403


@pytest.mark.parametrize(("headers", "source"), [({}, "gateway"), ({"X-Forwarded-For": "10.0.0.1"}, "operator")])
def test_the_gateway_reads_and_sends_for_itself_and_the_operator(
    log: InCluster, headers: dict[str, str], source: str
) -> None:
    assert log.ask("GET", "/records", Authorization=GATEWAY) == 200
    assert log.ask("POST", "/events", Authorization=GATEWAY, **headers) == 200
    assert log.sources()[-1] == source
