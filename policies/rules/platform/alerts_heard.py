"""M31: alerts reach somebody."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

WAY = re.compile(r"(?m)^\s*(email|webhook|slack)_configs:")


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    content = resource.file("alertmanager.yml")
    if not WAY.search(content.text):
        yield Violation(content.path, "alerts stay on Alertmanager's page")


RULE = Rule(
    id="M31",
    title="alerts reach somebody",
    why="A model that drifts, or a backup that fails, is seen by whoever happens to look.",
    severity="high",
    from_tier=None,
    controls={"soc2": ("CC7.3",), "iso27001": ("8.16",), "eu_ai_act": ("72",), "nist_ai_rmf": ("MANAGE 4.3",)},
    fix="name receivers under `notify`",
    of=service_of("monitoring"),
    check=_check,
)
