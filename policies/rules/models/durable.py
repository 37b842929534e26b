"""M2: runs and artifacts outlive the process and the machine's next start."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.resource import Resource, service_of
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.texts import plain_paths

DATABASES = ("postgresql://", "postgresql+", "mysql://", "mysql+", "mssql+")
FILE = re.compile(r"^file:(//(localhost)?)?(?=/)")
FLEETING = ("/tmp/", "/var/tmp/", "/run/", "/dev/shm/")  # noqa: S108


def _check(resource: Resource, _stack: Stack) -> Iterator[Violation]:
    store = resource.variable("MLFLOW_BACKEND_STORE_URI")
    if not store.text.startswith(DATABASES):
        yield Violation(store.path, "runs are not kept in a database server")
    artifacts = resource.variable("MLFLOW_ARTIFACTS_DESTINATION")
    place = f"{plain_paths(FILE.sub('', artifacts.text))}/"
    if place == "/" or place.startswith((*FLEETING, "./")):
        yield Violation(artifacts.path, "artifacts lie where a restart or a reboot removes them")


RULE = Rule(
    id="M2",
    title="runs and artifacts are kept durably",
    why="SQLite locks under several users, and what lies in a temporary folder is gone with a reboot.",
    severity="high",
    from_tier=2,
    controls={"iso27001": ("8.13",), "eu_ai_act": ("11", "12")},
    fix="keep the slot `database`, and let `artifact_store.folder` be on a disk that stays",
    of=service_of("tracking"),
    check=_check,
)
