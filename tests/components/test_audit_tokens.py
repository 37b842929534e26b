"""The audit log in a cluster: sources show tokens, and the gateway has a port of its own."""

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
from components.audit.programs.audit_log.store import Store
from components.audit.programs.audit_log.tokens import token
from components.audit.programs.audit_log.watch import Watch
from tests.components.audit_world import KEY, event
from tests.components.timer_server import free_port


class InCluster:
    """The service with a port for the gateway alone, where sources show tokens."""

    def __init__(self, folder: Path) -> None:
        self.store = open_chain(folder, KEY)
        told = Settings(
            "test", folder, KEY, free_port(), (), 365, 3600, gateway_port=free_port(), source_key=b"of sources"
        )
        watch = Watch(told, self.store)
        self.servers = [Server(told, self.store, watch, port) for port in (told.port, told.gateway_port or 0)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def ask(self, number: int, method: str, path: str, **headers: str) -> int:
        """Ask the one port or the other."""
        body = json.dumps({"events": [vars(event(1))]}) if method == "POST" else None
        connection = http.client.HTTPConnection("127.0.0.1", self.servers[number].server_port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.store.close()


@pytest.fixture
def in_cluster(tmp_path: Path) -> Iterator[InCluster]:
    """That service, with a log that is empty."""
    service = InCluster(tmp_path)
    yield service
    service.stop()


def _sources(store: Store) -> list[str]:
    return [record["source"] for record in store.find("", "", "", 10) if record["action"] != "open"]


def test_in_a_cluster_a_source_is_who_it_shows_to_be(in_cluster: InCluster) -> None:
    right = token(b"of sources", "mlserver")
    name, seal = right.split(":")
    wrong = ("", right, f"Bearer gateway:{seal}", f"Bearer {name}:{'0' * 64}", f"Bearer {token(b'another', name)}")
    for shown in wrong:
        assert in_cluster.ask(0, "POST", "/events", Authorization=shown) == 403
    assert in_cluster.ask(0, "POST", "/events", Authorization=f"Bearer {right}") == 200
    assert _sources(in_cluster.store)[-1] == "mlserver"
    assert in_cluster.ask(0, "GET", "/records", Authorization=f"Bearer {right}") == 403
    assert in_cluster.ask(0, "GET", "/health") == 200


def test_in_a_cluster_whoever_reaches_the_gateways_port_is_the_gateway(in_cluster: InCluster) -> None:
    assert in_cluster.ask(1, "GET", "/records") == 200
    assert in_cluster.ask(1, "POST", "/events") == 200
    assert _sources(in_cluster.store)[-1] == "gateway"
