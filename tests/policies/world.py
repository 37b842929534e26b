"""Resources for rules: made up for a fixture, or of a real plan of which something is broken."""

from __future__ import annotations

import dataclasses
import datetime
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policies.catalog import rules
from policies.evaluate import Finding, evaluate
from policies.resource import Resource
from policies.setting import Setting
from policies.values import UNKNOWN
from terrace.hosts import Host
from terrace.notify import Notify
from terrace.resolve import Blueprint
from terrace.spec_host import HostConfiguration
from tests.components.cluster import with_a_person
from tests.components.recording import blueprint, plan

TODAY = datetime.date(2026, 6, 1)
BASE = "urn:pulumi:local::terrace::terrace:platform:Platform"
DYNAMIC = "pulumi-python:dynamic/"
HOST = json.dumps({"name": "this-machine", "address": "127.0.0.1", "connection": "local"})


def made_up(path: str, about: Mapping[str, Any]) -> Resource:
    """Return the resource of a fixture.

    ``path`` is ``slot/name``. ``about`` may name its ``type`` (a role on a host where it doesn't), ``role``,
    ``variables``, ``host``, and other ``properties``; «<unknown>» stands for a value that isn't known yet.
    """
    slot, _, name = path.partition("/")
    kind = about.get("type", "terrace:HostRole")
    component = "" if slot == "platform" else f"$terrace:{slot}:Flavor"
    own = "" if kind.count(":") == 2 else f"${DYNAMIC}{kind}"
    properties: dict[str, Any] = {"host": HOST}
    if kind == "terrace:HostRole":
        properties |= {"role": about.get("role", "service"), "instance": name, "environment": "local"}
    properties |= known(about.get("properties", {}))
    if "host" in about:
        properties["host"] = json.dumps({"name": about["host"]})
    if "variables" in about:
        variables = known(about["variables"])
        properties["variables"] = variables if variables is UNKNOWN else json.dumps(variables)
    return Resource(f"{BASE}{component}{own}::{name}", kind if not own else DYNAMIC + kind, properties)


def known(value: Any) -> Any:
    """Return a fixture's value, with what it says is unknown."""
    if value == "<unknown>":
        return UNKNOWN
    if isinstance(value, dict):
        return {name: known(item) for name, item in value.items()}
    return [known(item) for item in value] if isinstance(value, list) else value


def setting(tier: int, **about: Any) -> Setting:
    """Return a setting as the spec would make it."""
    return Setting.model_validate({"environment": "local", "target": "host", "tier": tier, **about})


@cache
def planned(tier: int) -> tuple[tuple[Resource, ...], Setting]:
    """Return the real plan of a tier, and what rules are told of its environment."""
    with TemporaryDirectory() as folder:
        return _plan(blueprint(tier, Path(folder)))


@cache
def careful() -> tuple[tuple[Resource, ...], Setting]:
    """Return the real plan of an environment that keeps every rule, also those that no tier makes mandatory."""
    with TemporaryDirectory() as folder:
        plain = blueprint(5, Path(folder))
    machine = HostConfiguration.model_validate({"firewall": {}, "encrypted_data": {}})
    notify = Notify.model_validate({"webhook": {"url": "https://hooks.example/alerts"}})
    spec = plain.spec.model_copy(update={"hosts": (Host(configure=machine),), "notify": notify})
    backup = plain.slots["backup"].model_copy(update={"place": "/mnt/elsewhere"})
    return _plan(dataclasses.replace(plain, spec=spec, slots={**plain.slots, "backup": backup}))


@cache
def in_a_cluster(tier: int) -> tuple[tuple[Resource, ...], Setting]:
    """Return the real plan of a tier for a cluster, with a person who has a workbench."""
    with TemporaryDirectory() as folder:
        return _plan(blueprint(tier, Path(folder), target="kubernetes", edit=with_a_person))


def _plan(wanted: Blueprint) -> tuple[tuple[Resource, ...], Setting]:
    resources = tuple(Resource(each.urn, each.type, each.inputs) for each in plan(wanted))
    return resources, setting(wanted.tier, target=wanted.target, use_cases=wanted.spec.use_cases)


def broken(
    resources: Sequence[Resource], path: str, change: Callable[[dict[str, Any]], object]
) -> tuple[Resource, ...]:
    """Return the plan with the variables of the resource at ``path`` changed."""
    assert path in [resource.path for resource in resources]
    return tuple(_changed(each, change) if each.path == path and each.role else each for each in resources)


def _changed(resource: Resource, change: Callable[[dict[str, Any]], object]) -> Resource:
    variables = json.loads(resource.properties["variables"])
    change(variables)
    return Resource(resource.urn, resource.type, {**resource.properties, "variables": json.dumps(variables)})


def without(resources: Sequence[Resource], path: str) -> tuple[Resource, ...]:
    """Return the plan without the resource at ``path``."""
    assert path in [resource.path for resource in resources]
    return tuple(each for each in resources if each.path != path)


def asked(resources: Sequence[Resource], told: Setting) -> list[Finding]:
    """Ask every rule."""
    return evaluate(resources, told, rules(), TODAY)


def wrong(findings: Sequence[Finding]) -> set[tuple[str, str]]:
    """Return rule and resource of everything that doesn't pass."""
    return {(each.rule.id, each.resource.path) for each in findings if each.status != "passes"}
