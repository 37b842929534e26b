"""K10: no secret stands where everybody reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.cluster import containers, is_workload, kind_of, words
from policies.resource import Resource, is_service
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.values import Value

# What a secret is known by, wherever it comes from.
FORMS = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    re.compile(r"\bAKIA[0-9A-Z]{16}\b"),
    re.compile(r"://[^\s:/@]*:[^\s/@]+@"),
    re.compile(r"\bv1:[A-Za-z0-9+/=]{16,}:[A-Za-z0-9+/=]{16,}"),
)
NAMES = re.compile(r"(^|_)(PASSWORD|PASSWD|SECRET|TOKEN|API_KEY|PRIVATE_KEY|ACCESS_KEY)$", re.IGNORECASE)
RARE = 16  # characters: so long a secret is in no other text by chance


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    for name, value in _plain(resource):
        if NAMES.search(name) and value.is_there:
            yield Violation(value.path, "what is called a secret stands among the plain variables")
        elif _is_secret(value, stack):
            yield Violation(value.path, "it holds a secret, and is plain")
    for word in (*resource.words(), *(words(resource) if is_workload(resource) else ())):
        if _is_secret(word, stack):
            yield Violation(word.path, "it holds a secret, which every user of the machine sees in the process list")


def _plain(resource: Resource) -> Iterator[tuple[str, Value]]:
    """Yield name and value of what is kept in the clear; texts of a ConfigMap are files, whose names say nothing."""
    if is_workload(resource):
        for container in containers(resource):
            yield from ((each["name"].text, each["value"]) for each in container["env"])
    elif kind_of(resource) == "ConfigMap":
        yield from (("", value) for _, value in resource.own["data"].items())
    else:
        yield from resource.variables["service_environment"].items()


def _is_secret(value: Value, stack: Stack) -> bool:
    text = value.text
    if text in stack.generated or any(form.search(text) for form in FORMS):
        return True
    return any(secret in text for secret in stack.generated if len(secret) >= RARE)


RULE = Rule(
    id="K10",
    title="no secret in the clear",
    why="Plain variables and commands are read by every user of the machine, and stand in logs and documentation.",
    severity="critical",
    from_tier=1,
    controls={"iso27001": ("5.17",), "soc2": ("CC6.1",)},
    fix="put it under `secrets` of the flavor's Workload; in the spec, put in what `terrace encrypt` prints",
    of=lambda resource: is_service(resource) or is_workload(resource) or kind_of(resource) == "ConfigMap",
    check=_check,
    whole_stack=True,
)
