"""Asks registries what a tag stands for, by the OCI distribution API.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md and, for tokens,
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import hashlib
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass

from terrace.errors import OperationError
from terrace.images.credentials import Account, account_for
from terrace.images.reference import DIGEST, Reference
from terrace.images.transport import Answer, NoTls, Transport, is_loopback

# One image for several platforms, in the order of preference; then one for one platform.
INDEXES = ("application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json")
SINGLE = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")
ACCEPT = ", ".join((*INDEXES, *SINGLE))
_DOCKER_HUB = "registry-1.docker.io"
_CHALLENGE = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True)
class Manifest:
    """What a tag stands for.

    Args:
        digest: ``sha256:…`` of the whole image, of all of its platforms where it is for several.
        several_platforms: Whether it is for several.
    """

    digest: str
    several_platforms: bool


class Registries:
    """The registries, with the accounts that this user is logged in with.

    Args:
        transport: What asks them.
        account: Returns the account at a registry, named as in images.
    """

    def __init__(
        self, transport: Transport | None = None, account: Callable[[str], Account | None] = account_for
    ) -> None:
        self._transport = transport or Transport()
        self._account = account

    def manifest(self, image: Reference) -> Manifest | None:
        """Return what the tag of ``image`` stands for at its registry; None where there is no such tag.

        Raises:
            OperationError: The registry gives no answer, refuses to tell, or tells what can't be right.
            InputError: The account at the registry can't be read.
        """
        url = f"{self._base(image.host)}/v2/{image.path}/manifests/{image.tag}"
        answer = self._authorized("HEAD", url, image)
        if answer.status == 200 and not re.fullmatch(DIGEST, answer.headers.get("docker-content-digest", "")):
            answer = self._authorized("GET", url, image)  # not all registries name the digest
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise _refused(image, answer)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in (*INDEXES, *SINGLE):
            raise OperationError(
                f"{image.tagged} is no image that Kubernetes can run", where=url, why=f"the registry calls it {kind!r}"
            )
        return Manifest(_digest(answer, url), kind in INDEXES)

    def _base(self, host: str) -> str:
        """Return the address of a registry's API."""
        if not is_loopback(host):
            return f"https://{_DOCKER_HUB if host == 'docker.io' else host}"
        try:
            self._transport.ask("GET", f"https://{host}/v2/")
        except NoTls:
            return f"http://{host}"
        return f"https://{host}"

    def _authorized(self, method: str, url: str, image: Reference) -> Answer:
        """Ask without an account, and again with what the registry wants to see."""
        try:
            answer = self._transport.ask(method, url, {"Accept": ACCEPT})
            if answer.status != 401:
                return answer
            shown = self._proof(answer.headers.get("www-authenticate", ""), image, url)
            return self._transport.ask(method, url, {"Accept": ACCEPT}, authorization=shown) if shown else answer
        except NoTls as error:
            raise OperationError(
                f"there is no TLS with {image.host}",
                where=url,
                why=str(error),
                fix="only a registry on this machine may do without",
            ) from None

    def _proof(self, challenge: str, image: Reference, url: str) -> str:
        """Return the header that the registry's challenge asks for; empty where there is no account to show."""
        scheme, _, rest = challenge.partition(" ")
        account = self._account(image.host)
        if scheme.lower() == "basic":
            return account.basic if account else ""
        if scheme.lower() != "bearer":
            raise OperationError(f"{image.host} asks for an unknown kind of account", where=url, why=repr(scheme))
        return "Bearer " + self._token(dict(_CHALLENGE.findall(rest)), account, image, url)

    def _token(self, asked: dict[str, str], account: Account | None, image: Reference, url: str) -> str:
        realm = asked.get("realm", "")
        address = urllib.parse.urlsplit(realm)
        if address.scheme != "https" and not (url.startswith("http://") and is_loopback(address.netloc)):
            raise OperationError(
                f"{image.host} sends for a token to an address without TLS", where=url, why=repr(realm)
            )
        wanted = {"service": asked.get("service", ""), "scope": f"repository:{image.path}:pull"}
        answer = self._ask_for_token(realm, wanted, account)
        try:
            given = json.loads(answer.body)
            token = given.get("token") or given.get("access_token") if answer.status == 200 else None
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str):
            raise _refused(image, answer)
        return token

    def _ask_for_token(self, realm: str, wanted: dict[str, str], account: Account | None) -> Answer:
        if account and account.is_token:
            grant = {"grant_type": "refresh_token", "client_id": "terrace", "refresh_token": account.password}
            body = urllib.parse.urlencode(wanted | grant).encode()
            return self._transport.ask("POST", realm, body=body)
        joint = "&" if urllib.parse.urlsplit(realm).query else "?"
        query = urllib.parse.urlencode(wanted)
        return self._transport.ask("GET", f"{realm}{joint}{query}", authorization=account.basic if account else "")


def _digest(answer: Answer, url: str) -> str:
    """Return the digest that the registry names, which has to be that of what it sent, if it sent anything."""
    named = answer.headers.get("docker-content-digest", "")
    counted = f"sha256:{hashlib.sha256(answer.body).hexdigest()}" if answer.body else named
    if not counted or (named.startswith("sha256:") and named != counted):
        raise OperationError("the digest is not that of what was sent", where=url, why=f"it is said to be {named!r}")
    return counted


def _refused(image: Reference, answer: Answer) -> OperationError:
    if answer.status in (401, 403):
        return OperationError(
            f"{image.host} doesn't tell what {image.tagged} is",
            where=answer.url.partition("?")[0],
            why=f"it answers {answer.status}: nobody is logged in, the account may not see it, or it isn't there",
            fix=f"docker login {image.host}",
        )
    return OperationError(
        f"{image.host} gives no answer about {image.tagged}",
        where=answer.url.partition("?")[0],
        why=f"it answers {answer.status}",
        fix="try again later" if answer.status >= 429 else None,
    )
