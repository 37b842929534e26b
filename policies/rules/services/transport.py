"""K12: what leaves the machine is encrypted."""

from __future__ import annotations

import urllib.parse
from collections.abc import Iterator

from policies.cluster import kind_of
from policies.nginx import directives
from policies.nginx import is_loopback as listens_on_loopback
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from terrace.notify import is_loopback

SAFE = frozenset({"TLSv1.2", "TLSv1.3"})
CONFIGURATION = "nginx.conf"
FILES_IN_A_CLUSTER = "gateway/gateway-files"  # the object that holds the entrance's


NOTICES = "alertmanager.yml"
TLS_FROM_THE_START = "465"  # the port of a mail server


def _of(resource: Resource) -> bool:
    """Tell whether it is the gateway, who sends alerts, or the link between hosts, which belongs to no slot."""
    if kind_of(resource) == "ConfigMap":
        return resource.path == FILES_IN_A_CLUSTER
    return is_service(resource) and resource.slot in ("gateway", "monitoring", "platform")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    if resource.slot == "monitoring":
        yield from _notices(resource)
        return
    in_a_cluster = kind_of(resource) == "ConfigMap"
    content = resource.own["data"][CONFIGURATION] if in_a_cluster else resource.file(CONFIGURATION)
    listens = list(directives(content.text, "listen"))
    encrypted = [arguments for arguments in listens if "ssl" in arguments]
    # In a cluster policies say who reaches the page of metrics, which has no TLS.
    if not in_a_cluster and any(
        arguments and not listens_on_loopback(arguments[0]) for arguments in listens if arguments not in encrypted
    ):
        yield Violation(content.path, "it listens without TLS where other machines reach it")
    if resource.slot == "gateway" and not encrypted:
        yield Violation(content.path, "the entrance has no TLS")
    protocols = {name for arguments in directives(content.text, "ssl_protocols") for name in arguments}
    if not protocols or not protocols <= SAFE:
        yield Violation(content.path, "it doesn't refuse TLS before 1.2")
    if resource.slot == "platform" and ("on",) not in directives(content.text, "ssl_verify_client"):
        yield Violation(content.path, "it takes connections of hosts without a certificate")


def _notices(resource: Resource) -> Iterator[Violation]:
    content = resource.file(NOTICES)
    kept = {path.rpartition("/")[2]: text for path, text in resource.files()}
    for receiver in content.parsed_yaml()["receivers"]:
        for mail in receiver["email_configs"]:
            server, _, port = mail["smarthost"].text.rpartition(":")
            if mail["require_tls"].held is False and port != TLS_FROM_THE_START and not is_loopback(server):
                yield Violation(content.path, "mails with alerts may go to another machine without TLS")
        for hook in (*receiver["webhook_configs"], *receiver["slack_configs"]):
            named = hook["url_file"].text or hook["api_url_file"].text
            file = kept.get(named.rpartition("/")[2])
            for url in (hook["url"], hook["api_url"], *([file] if file else [])):
                if _is_open(url.text):
                    yield Violation(content.path, "alerts go to another machine without TLS")


def _is_open(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url.strip())
        return parts.scheme == "http" and not is_loopback(parts.hostname or "")
    except ValueError:
        return True


RULE = Rule(
    id="K12",
    title="TLS on everything that leaves the machine",
    why="Passwords and data are read on the way.",
    severity="high",
    from_tier=2,
    controls={
        "hipaa": ("164.312(e)(1)",),
        "gdpr": ("32(1)(a)",),
        "iso27001": ("8.24",),
        "soc2": ("CC6.7",),
    },
    fix="in the flavor's nginx configuration: `listen … ssl` and `ssl_protocols TLSv1.2 TLSv1.3`; in the spec: "
    "`notify.email.tls: true`, and addresses of `notify` that begin with https://",
    of=_of,
    check=_check,
)
