"""The health page and the metrics of the deployer of models."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from wsgiref.simple_server import WSGIServer

import pytest

from components.serving.programs.model_sync import page
from components.serving.programs.model_sync.page import Health


@pytest.fixture
def health(monkeypatch: pytest.MonkeyPatch) -> Iterator[Health]:
    """Return what a page at ``url`` shows."""
    servers: list[WSGIServer] = []
    make_server = page.make_server

    def kept(*args: object, **options: object) -> WSGIServer:
        servers.append(make_server(*args, **options))
        return servers[0]

    monkeypatch.setattr(page, "make_server", kept)
    health = Health(problem="", served={"m": "2"}, failed={"m": "3"})
    page.serve(0, health, silence=60)
    health.url = f"http://127.0.0.1:{servers[0].server_port}"  # type: ignore[attr-defined]
    yield health
    servers[0].shutdown()
    servers[0].server_close()


def ask(health: Health, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(health.url + path, timeout=10) as answer:  # type: ignore[attr-defined]
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_a_healthy_program_says_what_it_serves(health: Health) -> None:
    code, body = ask(health, "/health")
    assert code == 200
    assert json.loads(body) == {"problem": "", "served": {"m": "2"}, "failed": {"m": "3"}}


def test_a_problem_makes_it_ill(health: Health) -> None:
    health.problem = "MLServer does not answer"
    code, body = ask(health, "/health")
    assert code == 503
    assert json.loads(body)["problem"] == "MLServer does not answer"


def test_silence_makes_it_ill_until_the_next_look(health: Health) -> None:
    health.beat = time.monotonic() - 61
    code, body = ask(health, "/health")
    assert (code, json.loads(body)["problem"]) == (503, "it has not looked at the registry for too long")
    health.beat = time.monotonic()
    assert ask(health, "/health")[0] == 200


def test_it_is_ill_while_it_starts() -> None:
    assert Health().problem == "starting"


def test_metrics_are_shown(health: Health) -> None:
    page.SERVED.labels("shown").set(2)
    page.FAILED.labels("shown", "3").set(1)
    page.DEPLOYMENTS.labels("shown", "ready").inc()
    code, body = ask(health, "/metrics")
    lines = body.decode().splitlines()
    assert code == 200
    assert 'terrace_model_sync_served_version{model="shown"} 2.0' in lines
    assert 'terrace_model_sync_failed{model="shown",version="3"} 1.0' in lines, "an alert rule goes by this name"
    assert 'terrace_model_sync_deployments_total{model="shown",result="ready"} 1.0' in lines
    page.SERVED.clear()
    page.FAILED.clear()


def test_it_listens_on_loopback_only(health: Health) -> None:
    port = int(health.url.rsplit(":", 1)[1])  # type: ignore[attr-defined]
    with socket.socket() as other:
        other.settimeout(5)
        with pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", port))


def test_requests_are_not_logged(health: Health, capfd: pytest.CaptureFixture[str]) -> None:
    ask(health, "/health")
    assert capfd.readouterr() == ("", "")
