"""How long the rules take, by the number of resources, and `terrace check` from a cold start."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.figures import ROOT, Figure, median_seconds, terrace
from policies.catalog import rules
from policies.evaluate import evaluate
from policies.resource import Resource
from policies.setting import Setting
from terrace import compliance, config, resolve
from terrace.engine.outline import outline
from terrace.engine.project import Project

RUNS = 5
GOALS = {1000: 1, 10_000: 10}  # seconds


@dataclass(frozen=True)
class _Planned:
    """A real plan, as rules see it, and what they are told of its environment."""

    resources: tuple[Resource, ...]
    setting: Setting


def measure(env: str) -> Iterator[Figure]:
    """Measure all rules over copies of the plan of ``env``, and the command over all environments."""
    planned = _planned(env)
    for count, goal in GOALS.items():
        many = [_copy(planned.resources, number) for number in range(count)]
        seconds = median_seconds(partial(_ask, many, planned.setting), RUNS)
        yield Figure(f"{len(rules())} rules over {count} resources", seconds, "s", goal, RUNS)
    yield Figure(
        "terrace check, all environments", median_seconds(lambda: terrace("check", "--json"), RUNS), "s", 5, RUNS
    )


def _planned(env: str) -> _Planned:
    spec = resolve.resolve(config.load(ROOT, env)).spec
    verdict = compliance.judge(spec, env, outline(Project.load(ROOT), env).resources)
    resources = {finding.resource.urn: finding.resource for finding in verdict.findings}
    return _Planned(tuple(resources.values()), compliance.setting_of(spec, env))


def _copy(resources: tuple[Resource, ...], number: int) -> dict[str, Any]:
    """Return the plan's resources in turn, each time with other names."""
    turn, at = divmod(number, len(resources))
    original = resources[at]
    properties = dict(original.properties)
    if turn and original.role == "service":
        variables = json.loads(properties["variables"])
        variables["service_name"] += f"-{turn}"
        properties["variables"] = json.dumps(variables)
    return {"urn": f"{original.urn}-{turn}", "type": original.type, "properties": properties}


def _ask(many: list[dict[str, Any]], setting: Setting) -> None:
    """Ask all rules about resources that nobody has read yet."""
    evaluate([Resource(**each) for each in many], setting, rules(), datetime.datetime.now(datetime.UTC).date())
