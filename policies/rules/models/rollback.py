"""M10: a new version is tried beside the one in production, which stays to go back to."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    candidate = resource.variable("MODEL_SYNC_CANDIDATE")
    if not candidate.text:
        yield Violation(candidate.path, "no version can be tried beside the one in production")
    elif candidate.text == resource.variable("MODEL_SYNC_ALIAS").text:
        yield Violation(candidate.path, "the candidate is the version in production: there is nothing to go back to")


RULE = Rule(
    id="M10",
    title="a candidate stands beside production",
    why="A bad version answers everybody at once, and the good one has to be found again.",
    severity="high",
    from_tier=4,
    controls={"nist_ai_rmf": ("MANAGE 2.4",)},
    fix="let `serving.candidate_alias` differ from `serving.alias`",
    of=service_of("serving"),
    check=_check,
)
