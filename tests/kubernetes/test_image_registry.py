"""What is asked of registries, and what they are shown, on real ones that run here."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from terrace.errors import OperationError
from terrace.images.credentials import Account
from terrace.images.reference import Reference
from terrace.images.registry import Manifest, Registries
from tests.kubernetes.registries import BASIC, PASSWORD, USER, certificate, htpasswd, registry
from tests.kubernetes.small_images import Registry
from tests.kubernetes.token_server import IDENTITY_TOKEN, PUBLIC, TokenServer, token_server


@pytest.fixture(scope="module")
def plain(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with registry(distribution, tmp_path_factory.mktemp("plain")) as made:
        yield made


@pytest.fixture(scope="module")
def closed(distribution: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Wants a name and a password for everything."""
    folder = tmp_path_factory.mktemp("closed")
    with registry(distribution, folder, auth=htpasswd(folder)) as made:
        made.authorization = lambda _repository: BASIC
        yield made


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TokenServer]:
    with token_server(certificate(tmp_path_factory.mktemp("signer"))) as server:
        yield server


@pytest.fixture(scope="module")
def by_token(distribution: Path, tmp_path_factory: pytest.TempPathFactory, tokens: TokenServer) -> Iterator[Registry]:
    """Wants a token from the token server for everything."""
    with registry(distribution, tmp_path_factory.mktemp("by_token"), auth=tokens.auth()) as made:
        made.authorization = lambda name: f"Bearer {tokens.token('repository', name, ['pull', 'push'])}"
        yield made


@pytest.fixture(autouse=True)
def _nobody_is_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    for name in ("REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)


def log_in(folder: Path, **content: object) -> None:
    (folder / "docker").mkdir(exist_ok=True)
    (folder / "docker" / "config.json").write_text(json.dumps(content))


def asked(made: Registry, repository: str, tag: str = "1") -> Manifest | None:
    return Registries().manifest(Reference(f"{made.host}/{repository}", tag))


def test_an_image_for_several_platforms_has_the_digest_of_all(plain: Registry) -> None:
    digest = plain.push_index("library/several", "1")

    assert asked(plain, "library/several") == Manifest(digest, several_platforms=True)
    assert asked(plain, "library/several", "1-arm64") != Manifest(digest, several_platforms=True)


def test_an_image_for_one_platform_says_so(plain: Registry) -> None:
    digest = plain.push("library/one", "1")

    assert asked(plain, "library/one") == Manifest(digest, several_platforms=False)


def test_a_tag_that_is_not_there_is_none(plain: Registry) -> None:
    plain.push("there", "1")

    assert asked(plain, "there", "2") is None
    assert asked(plain, "not/there") is None


def test_a_registry_with_tls_is_believed_by_its_authority_alone(
    distribution: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate(tmp_path)
    with registry(distribution, tmp_path, tls=tls) as made:
        digest = made.push_index("app", "1")

        with pytest.raises(OperationError, match=rf"the certificate of {made.host} isn't trusted") as caught:
            asked(made, "app")
        assert "SSL_CERT_FILE" in (caught.value.fix or "")

        monkeypatch.setenv("SSL_CERT_FILE", str(tls.file))
        assert asked(made, "app") == Manifest(digest, several_platforms=True)


def test_a_closed_registry_wants_an_account(closed: Registry, tmp_path: Path) -> None:
    digest = closed.push("app", "1")

    with pytest.raises(OperationError, match="doesn't tell what") as caught:
        asked(closed, "app")
    assert caught.value.fix == f"docker login {closed.host}"

    log_in(tmp_path, auths={closed.host: {"auth": base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}})
    assert asked(closed, "app") == Manifest(digest, several_platforms=False)

    log_in(tmp_path, auths={closed.host: {"username": USER, "password": "wr0ng-password"}})
    with pytest.raises(OperationError, match="doesn't tell what") as caught:
        asked(closed, "app")
    assert "wr0ng-password" not in str(caught.value)


def test_a_credential_helper_is_asked(closed: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = closed.push("app", "1")
    programs = tmp_path / "programs"
    programs.mkdir()
    helper = programs / "docker-credential-tests"
    answer = json.dumps({"ServerURL": closed.host, "Username": USER, "Secret": PASSWORD})
    helper.write_text(f"""#!/bin/sh\n[ "$1" = get ] && [ "$(cat)" = {closed.host} ] && echo '{answer}'\n""")
    helper.chmod(helper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    log_in(tmp_path, credHelpers={closed.host: "tests"})
    assert asked(closed, "app") == Manifest(digest, several_platforms=False)

    log_in(tmp_path, credsStore="tests")
    assert asked(closed, "app") == Manifest(digest, several_platforms=False)


def test_a_token_is_fetched_for_what_everybody_may_see(by_token: Registry, tokens: TokenServer) -> None:
    digest = by_token.push_index(f"{PUBLIC}app", "1")
    tokens.asked.clear()

    assert asked(by_token, f"{PUBLIC}app") == Manifest(digest, several_platforms=True)
    assert tokens.asked == ["nobody"]


def test_a_token_is_fetched_with_an_account(by_token: Registry, tokens: TokenServer, tmp_path: Path) -> None:
    digest = by_token.push("private/app", "1")

    with pytest.raises(OperationError, match="doesn't tell what"):
        asked(by_token, "private/app")

    log_in(tmp_path, auths={by_token.host: {"auth": BASIC.partition(" ")[2]}})
    tokens.asked.clear()
    assert asked(by_token, "private/app") == Manifest(digest, several_platforms=False)
    assert tokens.asked == ["account"]


def test_a_token_is_fetched_with_an_identity_token(by_token: Registry, tokens: TokenServer, tmp_path: Path) -> None:
    digest = by_token.push("private/app", "1")
    log_in(tmp_path, auths={by_token.host: {"auth": "MDA6", "identitytoken": IDENTITY_TOKEN}})
    tokens.asked.clear()

    assert asked(by_token, "private/app") == Manifest(digest, several_platforms=False)
    assert tokens.asked == ["refresh token"]


def test_no_account_is_shown_to_a_token_server_without_tls_elsewhere(distribution: Path, tmp_path: Path) -> None:
    signer = certificate(tmp_path)
    elsewhere = TokenServer(signer, "http://tokens.example.com/token")
    with registry(distribution, tmp_path, auth=elsewhere.auth()) as made:
        account = Account(USER, PASSWORD)

        with pytest.raises(OperationError, match="sends for a token to an address without TLS"):
            Registries(account=lambda _host: account).manifest(Reference(f"{made.host}/app", "1"))


def test_a_registry_that_is_not_there_is_said_at_once() -> None:
    with pytest.raises(OperationError, match=r"no answer from 127\.0\.0\.1:9"):
        Registries().manifest(Reference("127.0.0.1:9/app", "1"))
