"""How a cluster is found and reached, on a server that says what a test wants it to say."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from terrace.engine.kubernetes import connection
from terrace.engine.kubernetes.access import Access
from terrace.engine.kubernetes.cluster import Cluster
from terrace.engine.kubernetes.connection import connect
from terrace.engine.kubernetes.errors import ApiError, ClusterError
from terrace.engine.kubernetes.kinds import kind_of
from terrace.engine.kubernetes.rights import Right, missing
from terrace.engine.kubernetes.settings import Settings


class Server:
    """Answers each path by a list of (status, headers, body), the last of them again and again."""

    def __init__(self) -> None:
        self.answers: dict[str, list[tuple[int, dict[str, str], Any]]] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def _answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path = self.path.partition("?")[0]
                outer.asked.append(f"{self.command} {path}")
                found = outer.answers.get(path) or [(404, {}, {"message": "nothing there", "reason": "NotFound"})]
                status, headers, body = found.pop(0) if len(found) > 1 else found[0]
                data = json.dumps(body).encode()
                self.send_response(status)
                for key, value in {"Content-Length": str(len(data)), **headers}.items():
                    self.send_header(key, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - the base class's names

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.say("/version", {"major": "1", "minor": "36+", "gitVersion": "v1.36.3"})
        self.say("/api/v1", {"resources": [{"kind": "Pod", "name": "pods", "namespaced": True}]})

    def say(self, path: str, body: Any, status: int = 200, **headers: str) -> None:
        self.answers[path] = [(status, headers, body)]

    def settings(self, **more: Any) -> Settings:
        content = {
            "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": f"http://127.0.0.1:{self.http.server_port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        }
        return Settings(kubeconfig=json.dumps(content), **more)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def _cluster(server: Server) -> Cluster:
    return Cluster(connect(server.settings()))


def test_a_server_that_can_be_used(server: Server) -> None:
    access = Access(server.settings())
    assert access.problem is None
    assert access.namespace == "default"
    assert access.require().knows(kind_of("v1", "Pod"))
    assert not access.require().knows(kind_of("v1", "Nothing"))
    assert not access.require().knows(kind_of("nowhere.example.com/v1", "Nothing"))


def test_a_server_that_is_too_old(server: Server) -> None:
    server.say("/version", {"major": "1", "minor": "21", "gitVersion": "v1.21.14"})
    access = Access(server.settings(namespace="own"))
    assert access.find() is None
    assert access.namespace == "own"
    told = str(access.problem)
    assert "runs Kubernetes v1.21.14, which is too old" in told
    assert "server-side apply is stable since Kubernetes 1.22" in told


def test_something_that_is_no_cluster(server: Server) -> None:
    server.say("/version", {"hello": "world"}, status=404)
    assert "the cluster doesn't answer as one" in str(Access(server.settings()).problem)


def test_a_cluster_that_is_not_known_yet() -> None:
    access = Access(Settings(known=False))
    assert access.find() is None
    assert access.problem is None
    with pytest.raises(ClusterError, match="isn't known yet"):
        access.require()


def test_a_server_that_is_busy_is_asked_again(server: Server) -> None:
    busy = (429, {"Retry-After": "0"}, {"message": "slow down"})
    server.answers["/version"] = [busy, busy, (200, {}, {"major": "1", "minor": "36"})]
    _cluster(server).require()
    assert server.asked.count("GET /version") == 3
    server.answers["/version"] = [busy]
    with pytest.raises(ApiError, match="slow down"):
        _cluster(server).request("GET", "/version")


def test_rights_that_cannot_be_asked_for_are_no_obstacle(server: Server) -> None:
    reviews = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    wanted = [Right("create", kind_of("v1", "Pod"), "a"), Right("create", kind_of("x.example.com/v1", "X"), "a")]
    assert missing(_cluster(server), wanted) == []
    server.say(reviews, {"status": {"allowed": False}})
    assert missing(_cluster(server), wanted) == ["create pods in a"]
    server.say(reviews, {"status": {"allowed": True}})
    assert missing(_cluster(server), wanted) == []


def test_within_a_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "nowhere"))
    with pytest.raises(ClusterError, match="there is nothing at"):
        connect(Settings())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    place = tmp_path / "namespace"
    place.write_text("inside\n", encoding="utf-8")

    def load(client_configuration: Any) -> None:
        client_configuration.host = "https://10.0.0.1"

    monkeypatch.setattr(connection, "load_incluster_config", load)
    monkeypatch.setattr(connection, "_NAMESPACE_FILE", place)
    found = connect(Settings())
    assert (found.server, found.namespace) == ("https://10.0.0.1", "inside")
    with pytest.raises(ClusterError, match="Is a directory"):
        connect(Settings(kubeconfig=str(tmp_path)))


@pytest.mark.parametrize(
    ("kubeconfig", "why"),
    [
        ("{}", "names no current context"),
        ("[]", "its text is neither a file nor a kubeconfig"),
        ("nowhere/at-all", "'nowhere/at-all' is neither a file nor a kubeconfig"),
        ("a:\n- token: [s3cr3t", "line 2 isn't YAML"),
        ('{"current-context": "c"}', "the kubeconfig can't be used"),
    ],
)
def test_kubeconfigs_that_make_no_sense(kubeconfig: str, why: str) -> None:
    with pytest.raises(ClusterError, match=why) as caught:
        connect(Settings(kubeconfig=kubeconfig))
    assert "s3cr3t" not in str(caught.value)


def test_a_credential_plugin_that_gives_nothing(server: Server) -> None:
    content = json.loads(server.settings().kubeconfig)
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false", "interactiveMode": "Never"}
    content["users"] = [{"name": "u", "user": {"exec": plugin}}]
    with pytest.raises(ClusterError, match="credential plugin"):
        connect(Settings(kubeconfig=json.dumps(content)))
