"""M15: an environment keeps to its own folders."""

from __future__ import annotations

import re
from collections.abc import Iterator

from policies.resource import Resource
from policies.rule import Rule, Violation
from policies.stack import Stack
from policies.texts import plain_paths
from policies.values import Value

FOLDER = re.compile(r"/(?:var/lib|var/log|etc|opt)/terrace/([a-z][a-z0-9-]{0,30})(?![\w.-])")
PLACES = ("service_environment", "service_processes", "service_setup", "service_live_setup")
FOLDERS = ("artifact_folder_path", "gateway_folder_path", "encrypted_data_folders")


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    own = stack.setting.environment
    for value in (resource.own["environment"], resource.variables["terrace_environment"]):
        if value.text != own:
            yield Violation(value.path, "it belongs to another environment")
    for place in (*PLACES, *FOLDERS):
        for text in resource.variables[place].texts():
            if _is_anothers(text, own):
                yield Violation(text.path, "it names a folder of another environment")


def _is_anothers(text: Value, own: str) -> bool:
    return any(environment != own for environment in FOLDER.findall(plain_paths(text.text)))


RULE = Rule(
    id="M15",
    title="environments are apart",
    why="An experiment in one environment changes the data of another, production's too.",
    severity="high",
    from_tier=3,
    controls={"iso27001": ("8.31",), "soc2": ("CC8.1",)},
    fix="let `artifact_store.folder` and other folders of the spec lie outside of other environments' folders",
    of=lambda resource: bool(resource.role),
    check=_check,
)
