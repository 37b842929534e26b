"""M4: served models come from the registry, and in no other way."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    registry = resource.variable("MLFLOW_TRACKING_URI")
    if "registry" not in stack.slots:
        yield Violation(registry.path, "there is no registry that served models could come from")
    if not registry.text.startswith(("http://", "https://")):
        yield Violation(registry.path, "it names no registry")
    alias = resource.variable("MODEL_SYNC_ALIAS")
    if not alias.text:
        yield Violation(alias.path, "no alias says which version is in production")
    folder = resource.variable("MLSERVER_LOAD_MODELS_AT_STARTUP")
    if folder.text != "false":
        yield Violation(folder.path, "it also loads what lies in a folder")


RULE = Rule(
    id="M4",
    title="served models come from the registry",
    why="A model that nobody registered has no owner, no history, and no way back.",
    severity="high",
    from_tier=3,
    controls={"eu_ai_act": ("11",), "nist_ai_rmf": ("GOVERN 1.6",)},
    fix="keep the slot `registry`, and `serving.alias`",
    of=service_of("serving"),
    check=_check,
    whole_stack=True,
)
