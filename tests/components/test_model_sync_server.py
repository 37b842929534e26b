"""MLServer's REST API as the deployer of models uses it, against a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from components.serving.programs.model_sync.errors import DeploymentError
from components.serving.programs.model_sync.server import Server


class Peer(ThreadingHTTPServer):
    """Answers as told by ``answers``, else with 404, and keeps what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, tuple[int, str]] = {}
        self.asked: list[tuple[str, str, str]] = []
        self.types: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Peer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.server.asked.append((self.command, self.path, body))
        self.server.types.append(self.headers.get("content-type"))
        code, text = self.server.answers.get(self.path, (404, '{"error": "not found"}'))
        self.send_response(code)
        self.send_header("content-length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    do_POST = do_GET  # noqa: N815 - the base class looks for this name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class calls it so
        pass


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as peer:
        thread = threading.Thread(target=peer.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield peer
        peer.shutdown()
        thread.join()


@pytest.fixture
def server(peer: Peer) -> Iterator[Server]:
    server = Server(peer.url)
    yield server
    server._session.close()


class Request:
    """MLServer's request, as far as it matters here."""

    def model_dump_json(self, *, exclude_none: bool) -> str:
        return json.dumps({"inputs": [1], "exclude_none": exclude_none})


@pytest.mark.parametrize(("code", "live"), [(200, True), (503, False)])
def test_it_is_live_when_it_says_so(server: Server, peer: Peer, code: int, live: bool) -> None:
    peer.answers["/v2/health/live"] = (code, "")
    assert server.live() is live


def test_a_model_and_its_versions_are_ready_apart(server: Server, peer: Peer) -> None:
    peer.answers["/v2/models/a%2Fb%20c/ready"] = (200, "")
    assert server.ready("a/b c") is True
    assert server.ready("a/b c", "2") is False
    assert [path for _, path, _ in peer.asked] == [
        "/v2/models/a%2Fb%20c/ready",
        "/v2/models/a%2Fb%20c/versions/2/ready",
    ]


def test_loading_and_unloading_are_posted(server: Server, peer: Peer) -> None:
    peer.answers["/v2/repository/models/a%2Fb/load"] = (200, "")
    server.load("a/b")
    server.unload("a/b")  # the answer is 404: it is not loaded
    assert [each[:2] for each in peer.asked] == [
        ("POST", "/v2/repository/models/a%2Fb/load"),
        ("POST", "/v2/repository/models/a%2Fb/unload"),
    ]


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (400, '{"error": "no such module"}', "no such module"),
        (500, "Internal Server Error", "500 Internal Server Error"),
        (500, '{"detail": 1}', '500 {"detail": 1}'),
        (500, "[]", r"500 \[\]"),
    ],
)
def test_a_refused_load_says_why(server: Server, peer: Peer, code: int, text: str, reason: str) -> None:
    peer.answers["/v2/repository/models/m/load"] = (code, text)
    with pytest.raises(DeploymentError, match=f"^MLServer cannot load the model: {reason}$"):
        server.load("m")


def test_a_long_reason_is_cut(server: Server, peer: Peer) -> None:
    peer.answers["/v2/repository/models/m/load"] = (500, "x" * 9000)
    with pytest.raises(DeploymentError) as caught:
        server.load("m")
    assert len(str(caught.value)) < 1600


@pytest.mark.parametrize(("version", "path"), [(None, "/v2/models/m/infer"), ("2", "/v2/models/m/versions/2/infer")])
def test_an_answer_is_returned(server: Server, peer: Peer, version: str | None, path: str) -> None:
    peer.answers[path] = (200, '{"model_version": "2", "outputs": [{"data": [1]}]}')
    assert server.answer("m", version, Request()) == {"model_version": "2", "outputs": [{"data": [1]}]}
    assert peer.asked == [("POST", path, '{"inputs": [1], "exclude_none": true}')]
    assert peer.types == ["application/json"]


@pytest.mark.parametrize(
    ("code", "text", "reason"),
    [
        (500, '{"error": "no column x"}', "does not answer its own input example: no column x"),
        (200, '{"outputs": []}', "with nothing"),
        (200, "{}", "with nothing"),
    ],
)
def test_no_answer_is_an_error(server: Server, peer: Peer, code: int, text: str, reason: str) -> None:
    peer.answers["/v2/models/m/infer"] = (code, text)
    with pytest.raises(DeploymentError, match=reason):
        server.answer("m", None, Request())


def test_a_server_that_is_away_is_told_apart() -> None:
    with Peer() as gone:
        url = gone.url
    with pytest.raises(requests.RequestException):
        Server(url).live()
