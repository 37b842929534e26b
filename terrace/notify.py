"""What a user may write under ``notify``: whom alerts reach, and by which way."""

from __future__ import annotations

import ipaddress
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from terrace.spec_base import Model, Problem, Secret, Url, refuse

Severity = Literal["critical", "warning"]
Way = Literal["email", "webhook", "chat"]

SEVERITIES: tuple[Severity, ...] = ("critical", "warning")
WAYS: tuple[Way, ...] = ("email", "webhook", "chat")
NOBODY = "nobody is told of alerts: they stay on Alertmanager's page; name receivers under `notify`"

# Alertmanager takes an address for a template, a comma for the end of one.
Address = Annotated[str, Field(pattern=r'^[^@\s{}<>,;"]+@[^@\s{}<>,;"]+$')]
CaFile = Annotated[
    str | None,
    Field(pattern=r"^/", description="A CA's certificate on the host, where the system's own don't do."),
]


class Email(Model):
    """A mail server, and whom it is to send alerts to."""

    host: str = Field(pattern=r"^[A-Za-z0-9.-]+$", description="Name or IPv4 address of the mail server.")
    port: int = Field(587, ge=1, le=65535, description="Its TCP port: 465 for TLS from the start, else by STARTTLS.")
    sender: Address = Field(alias="from", description="The address that alerts come from.")
    to: tuple[Address, ...] = Field(min_length=1, description="The addresses that alerts go to.")
    tls: bool = Field(True, description="Whether an unencrypted connection is refused.")
    ca_file: CaFile = None
    user: str | None = Field(None, min_length=1, description="The account's name at the mail server.")
    password: Secret | None = Field(None, repr=False, description="The account's password, a secret.")

    @model_validator(mode="after")
    def _keeps_its_password(self) -> Self:
        problems = []
        if (self.user is None) != (self.password is None):
            given, lacking = ("user", "password") if self.user else ("password", "user")
            problems.append(Problem((given,), f"it needs a {lacking} beside it"))
        if self.password and not self.tls and not is_loopback(self.host):
            problems.append(Problem(("tls",), f"without TLS the password would go to {self.host} in the clear"))
        refuse(problems)
        return self


class Webhook(Model):
    """An address that alerts are posted to, in Alertmanager's own JSON."""

    url: Url = Field(description="The address. Alertmanager shows it; what is secret belongs into `token`.")
    token: Secret | None = Field(None, repr=False, description="A secret, sent as `Authorization: Bearer`.")
    ca_file: CaFile = None

    @model_validator(mode="after")
    def _keeps_its_token(self) -> Self:
        parts = urllib.parse.urlsplit(self.url)
        if parts.password is not None:
            refuse([Problem(("url",), "it holds a password, which Alertmanager would show; use `token`")])
        if self.token and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
            refuse([Problem(("url",), "without TLS the token would go there in the clear; begin it with https://")])
        return self


class Chat(Model):
    """An incoming webhook of Slack or of a chat that takes the same messages (Mattermost, Discord with `/slack`)."""

    url: Secret = Field(repr=False, description="Its address, a secret as a whole.")
    ca_file: CaFile = None


class Notify(Model):
    """Whom alerts reach."""

    email: Email | None = Field(None, description="By mail.")
    webhook: Webhook | None = Field(None, description="By a POST of JSON.")
    chat: Chat | None = Field(None, description="In a chat.")
    routes: Mapping[Severity, tuple[Way, ...]] = Field(
        default_factory=dict, description="Severity → ways; a severity that isn't listed goes all ways."
    )

    @model_validator(mode="after")
    def _ways_exist(self) -> Self:
        if not self.ways:
            refuse([Problem((), f"it names nobody; add one of: {', '.join(WAYS)}")])
        refuse(list(self._unknown_ways()))
        return self

    @property
    def ways(self) -> tuple[Way, ...]:
        """The ways that there are."""
        return tuple(way for way in WAYS if getattr(self, way) is not None)

    def route(self, severity: Severity) -> tuple[Way, ...]:
        """Return the ways that alerts of ``severity`` go."""
        return self.routes.get(severity, self.ways)

    def _unknown_ways(self) -> Iterator[Problem]:
        for severity, ways in self.routes.items():
            for way in ways:
                if way not in self.ways:
                    text = f"{way!r} is not under notify (there: {', '.join(self.ways)})"
                    yield Problem(("routes", severity), text)


def unheard(notify: Notify | None) -> tuple[str, ...]:
    """Return a sentence for each severity whose alerts reach nobody."""
    if notify is None:
        return (NOBODY,)
    return tuple(f"nobody is told of {severity} alerts" for severity in SEVERITIES if not notify.route(severity))


def is_loopback(host: str) -> bool:
    """Return whether what is sent to ``host`` stays on the machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
