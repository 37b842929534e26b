"""What registries are asked and shown, and how long they are waited for, by servers that answer as a test says."""

from __future__ import annotations

import hashlib
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from terrace.errors import OperationError
from terrace.images.credentials import Account
from terrace.images.reference import Reference
from terrace.images.registry import INDEXES, SINGLE, Manifest, Registries
from terrace.images.transport import PAUSES, Answer, NoTls, SafeRedirects, Transport, is_loopback

CONTENT = b'{"schemaVersion": 2}'
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
ANN = Account("ann", "pa55word")


@dataclass
class Played:
    """A registry on loopback that answers with what it is given, one after the other, the last again and again."""

    host: str
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, account

    def says(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        self.answers.append((status, dict(headers or {}), body))


@pytest.fixture
def played() -> Iterator[Played]:
    with played_server() as server:
        yield server


@pytest.fixture
def another() -> Iterator[Played]:
    with played_server() as server:
        yield server


@contextmanager
def played_server() -> Iterator[Played]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            played.requests.append((self.command, self.path, self.headers.get("Authorization", "")))
            status, headers, body = played.answers[0]
            if len(played.answers) > 1:
                played.answers.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"" if self.command == "HEAD" else body)

        def log_message(self, *_: Any) -> None:
            return

    for method in ("GET", "HEAD", "POST"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    played = Played(f"127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield played
    server.shutdown()
    server.server_close()


class WithoutTls(Transport):
    """Asks where nothing speaks TLS, and doesn't wait."""

    def __init__(self) -> None:
        super().__init__(lambda _seconds: None)

    def ask(self, method: str, url: str, *given: Any, **named: Any) -> Answer:
        if url.startswith("https:"):
            raise NoTls("WRONG_VERSION_NUMBER")
        return super().ask(method, url, *given, **named)


def image(played: Played) -> Reference:
    return Reference(f"{played.host}/app", "1")


def found(kind: str = INDEXES[0]) -> dict[str, str]:
    return {"Docker-Content-Digest": DIGEST, "Content-Type": kind}


def asked(played: Played, account: Account | None = None) -> Manifest | None:
    return Registries(WithoutTls(), lambda _host: account).manifest(image(played))


@pytest.mark.parametrize("kind", [*INDEXES, *SINGLE])
def test_it_asks_for_the_head_alone(played: Played, kind: str) -> None:
    played.says(200, found(kind))

    assert asked(played, ANN) == Manifest(DIGEST, kind in INDEXES)
    assert played.requests == [("HEAD", "/v2/app/manifests/1", "")]


def test_where_no_digest_is_named_it_is_counted(played: Played) -> None:
    played.says(200, {"Content-Type": SINGLE[0]}, CONTENT)

    assert asked(played) == Manifest(DIGEST, several_platforms=False)
    assert [method for method, _, _ in played.requests] == ["HEAD", "GET"]


def test_a_digest_that_is_not_that_of_the_content_is_refused(played: Played) -> None:
    played.says(200, {"Content-Type": SINGLE[0]}, CONTENT)
    played.says(200, {"Content-Type": SINGLE[0], "Docker-Content-Digest": "sha256:" + "0" * 64}, CONTENT)

    with pytest.raises(OperationError, match="not that of what was sent"):
        asked(played)


def test_what_is_no_image_is_refused(played: Played) -> None:
    played.says(200, found("application/vnd.docker.distribution.manifest.v1+prettyjws"))

    with pytest.raises(OperationError, match="is no image that Kubernetes can run"):
        asked(played)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_waited_for(played: Played, status: int) -> None:
    waited: list[float] = []
    played.says(status)
    played.says(status, {"Retry-After": "7"})
    played.says(status, {"Retry-After": "86400"})
    played.says(200, found())

    assert Transport(waited.append).ask("HEAD", f"http://{played.host}/x").status == 200
    assert waited == [PAUSES[0], 7.0, 60.0]


def test_what_does_not_pass_is_said(played: Played) -> None:
    played.says(503)

    with pytest.raises(OperationError, match=f"{played.host} gives no answer about {played.host}/app:1") as caught:
        asked(played)
    assert caught.value.why == "it answers 503"
    assert len(played.requests) == len(PAUSES) + 1


def test_a_connection_that_breaks_is_tried_again() -> None:
    transport, waited = Transport(), []

    class Broken:
        def open(self, *_: Any, **__: Any) -> Any:
            raise ConnectionResetError("reset")

    transport._outside = Broken()  # type: ignore[assignment]
    transport._pause = waited.append
    with pytest.raises(OperationError, match=r"no answer from registry\.example\.com"):
        transport.ask("GET", "https://registry.example.com/v2/")
    assert waited == list(PAUSES)


def test_an_account_is_shown_when_it_is_asked_for(played: Played) -> None:
    played.says(401, {"WWW-Authenticate": 'Basic realm="x"'})
    played.says(200, found())

    assert asked(played, ANN) == Manifest(DIGEST, several_platforms=True)
    assert [account for _, _, account in played.requests] == ["", ANN.basic]


def test_no_account_goes_where_a_registry_redirects_to(played: Played, another: Played) -> None:
    played.says(401, {"WWW-Authenticate": 'Basic realm="x"'})
    played.says(307, {"Location": f"http://{another.host}/elsewhere"})
    another.says(200, found())

    assert asked(played, ANN) == Manifest(DIGEST, several_platforms=True)
    assert [(path, account) for _, path, account in another.requests] == [("/elsewhere", "")]
    assert played.requests[-1][2] == ANN.basic


def test_a_redirect_away_from_tls_is_refused() -> None:
    request = urllib.request.Request("https://registry.example.com/v2/app/manifests/1")

    with pytest.raises(OperationError, match=r"registry\.example\.com redirects to an address without TLS"):
        SafeRedirects().redirect_request(request, None, 307, "", {}, "http://registry.example.com/elsewhere")


def test_a_challenge_of_an_unknown_kind_is_said(played: Played) -> None:
    played.says(401, {"WWW-Authenticate": "Negotiate"})

    with pytest.raises(OperationError, match="asks for an unknown kind of account"):
        asked(played, ANN)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not JSON", b'{"token": 1}'])
def test_an_answer_without_a_token_is_a_refusal(played: Played, another: Played, body: bytes) -> None:
    challenge = f'Bearer realm="http://{another.host}/token?a=b",service="s",scope="repository:app:pull"'
    played.says(401, {"WWW-Authenticate": challenge})
    another.says(200, body=body)

    with pytest.raises(OperationError, match="gives no answer about"):
        asked(played)
    assert another.requests == [("GET", "/token?a=b&service=s&scope=repository%3Aapp%3Apull", "")]


class Recording(Transport):
    """Notes what would be asked of the network, where nothing speaks TLS."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def ask(self, method: str, url: str, *_: Any, **__: Any) -> Answer:
        self.urls.append(url)
        if url.startswith("https:"):
            raise NoTls("WRONG_VERSION_NUMBER")
        return Answer(url, 404, {}, b"")


@pytest.mark.parametrize("host", ["registry.example.com", "10.0.0.7:5000", "docker.io", "127.0.0.1.example.com"])
def test_only_loopback_may_do_without_tls(host: str) -> None:
    transport = Recording()

    with pytest.raises(OperationError, match=f"there is no TLS with {host}"):
        Registries(transport, lambda _host: ANN).manifest(Reference(f"{host}/app", "1"))
    assert [url for url in transport.urls if not url.startswith("https://")] == []


def test_docker_hub_has_another_address_than_name() -> None:
    transport = Recording()
    with pytest.raises(OperationError):
        Registries(transport, lambda _host: None).manifest(Reference("docker.io/library/postgres", "17"))

    assert transport.urls == ["https://registry-1.docker.io/v2/library/postgres/manifests/17"]


@pytest.mark.parametrize("host", ["127.0.0.1:5000", "localhost", "localhost:1", "[::1]:5000", "127.9.9.9"])
def test_loopback_may_do_without_tls(host: str) -> None:
    assert is_loopback(host)
    transport = Recording()

    assert Registries(transport, lambda _host: None).manifest(Reference(f"{host}/app", "1")) is None
    assert transport.urls[-1] == f"http://{host}/v2/app/manifests/1"
