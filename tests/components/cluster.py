"""What a plan for a cluster holds, for the tests that look at it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

TEAM, GROUPS = "    team:\n", "      groups:\n"
PEOPLE_OF_TEAMS = "      people: {ann: {email: ann@example.org}, bob: {}}\n"
TEAMS = """\
        risk: {roles: [data_scientist], members: [ann]}
        ads: {roles: [data_scientist], members: [bob]}
"""
NAMESPACES = """\
    kubernetes:
      accelerator: example.org/tpu
      teams:
        risk: {cores: 4}
        ads: {accelerators: 2}
"""


def with_a_person(text: str) -> str:
    """Return a stack file with somebody who has a workbench."""
    assert TEAM in text
    return text.replace(TEAM, f"{TEAM}      people: {{ann: {{roles: [data_scientist]}}}}\n")


def with_teams(text: str) -> str:
    """Return a stack file with two groups that have a namespace of their own, and a person each."""
    assert GROUPS in text
    return text.replace(GROUPS, f"{PEOPLE_OF_TEAMS}{GROUPS}{TEAMS}") + NAMESPACES


def whole(value: Any) -> Any:
    if isinstance(value, float):
        assert value.is_integer()
        return int(value)
    if isinstance(value, dict):
        return {key: whole(part) for key, part in value.items()}
    return [whole(part) for part in value] if isinstance(value, list) else value


def of(objects: list[dict[str, Any]], *kinds: str) -> list[dict[str, Any]]:
    found = [each for each in objects if each["kind"] in kinds]
    assert found, kinds
    return found


def named(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return found


def pods(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for each in of(objects, "Deployment", "StatefulSet", "Job", "CronJob"):
        spec = each["spec"].get("jobTemplate", each)["spec"]
        yield each["metadata"]["name"], spec["template"]


def containers(template: dict[str, Any]) -> list[dict[str, Any]]:
    return [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]


def reached(spec: dict[str, Any], direction: str, side: str) -> set[tuple[str, int]]:
    return {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], port["port"])
        for rule in spec.get(direction, [])
        for peer in rule.get(side, [])
        if "podSelector" in peer
        for port in rule["ports"]
    }


def file_of(objects: list[dict[str, Any]], name: str, key: str) -> str:
    return base64.b64decode(named(objects, "Secret", name)["data"][key]).decode()
