"""M13: data that models are made of has a class and an owner."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import BY_PROFILE, Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    owners = resource.file("owners.json")
    known = {model for name, case in stack.setting.use_cases.items() for model in case.models or (name,)}
    if not known:
        problem = "the data register is empty: what models will be made of is not known"
        yield Violation("use_cases", problem, BY_PROFILE)
    if {model for model, _ in owners.parsed().items()} != known:
        yield Violation(owners.path, "serving knows other models and owners than the register")


RULE = Rule(
    id="M13",
    title="data has a class and an owner",
    why="Nobody can say which data is sensitive, who answers for it, and where it may go.",
    severity="medium",
    from_tier=2,
    controls={"iso27001": ("5.9", "5.12"), "gdpr": ("30",), "nist_ai_rmf": ("MAP 4.1",)},
    fix="describe each use of models under `use_cases`, with the class and owner of each of its `sources`",
    of=service_of("serving"),
    check=_check,
    stricter={BY_PROFILE: "there are use cases at all"},
)
