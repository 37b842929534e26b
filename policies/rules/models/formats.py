"""M19: no model runs code of its file's choice when it is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack

SWITCH = "MLFLOW_ALLOW_PICKLE_DESERIALIZATION"
# Modules whose functions run what a file says.
DANGEROUS = frozenset(
    {"__builtin__", "builtins", "cloudpickle", "code", "ctypes", "dill", "importlib", "joblib", "marshal", "nt", "os"}
    | {"pickle", "posix", "pty", "runpy", "shutil", "socket", "subprocess", "sys", "webbrowser"}
)


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    switch = resource.variable(SWITCH)
    if resource.slot == "tracking":
        if switch.text != "false":
            yield Violation(switch.path, "unpickling is not switched off")
        return
    reviewed = resource.variable("MODEL_SYNC_TRUSTED_TYPES")
    if switch.text != "false" and not _reviews(resource):
        yield Violation(switch.path, "it unpickles, and no deployer looks at models before")
    for name in reviewed.text.split(","):
        if name.partition(".")[0] in DANGEROUS or "*" in name:
            yield Violation(reviewed.path, "it trusts a type that runs code of the file's choice")


def _reviews(resource: Resource) -> bool:
    """Tell whether a deployer with a list of reviewed types stands before the server."""
    return resource.variable("MODEL_SYNC_TRUSTED_TYPES").is_there and "model_sync" in [
        word.text for word in resource.words()
    ]


RULE = Rule(
    id="M19",
    title="models are of formats that run no code",
    why="Loading a pickle runs whatever its maker, or whoever could write the file, put in.",
    severity="critical",
    from_tier=3,
    controls={"iso27001": ("8.28",), "eu_ai_act": ("15",)},
    fix="register models as skops, and list reviewed types alone in `serving.trusted_types`",
    of=service_of("tracking", "serving"),
    check=_check,
)
