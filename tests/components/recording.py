"""Plans a blueprint on a mock engine that records every resource that the program asks for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pulumi.runtime
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

from terrace import config, platform, stackfile
from terrace.catalog import Catalog
from terrace.engine.dynamic import clean_pickling
from terrace.resolve import Blueprint, resolve
from terrace.tiers import TierTable

ROOT = Path(__file__).parents[2]
ENVIRONMENT = "local"
TIER_LINE = "terrace:tier: 3"
TARGET_LINE = "terrace:target: host"
ON_KUBERNETES = 3  # the tier that tests of a platform there are of
GENERATED = ("terrace:Password", "terrace:CertificateAuthority", "terrace:SshKey")
DYNAMIC = "pulumi-python:dynamic/"
LONGEST = 200  # characters of a text that a plan shows; of a longer one, its digest


@dataclass(frozen=True)
class Recorded:
    """A resource as the program registered it."""

    type: str
    name: str
    urn: str
    parent: str
    inputs: dict[str, Any]
    custom: bool


def stand_ins(name: str, values: Iterable[str]) -> dict[str, Any]:
    """Return what stands for generated values in a plan; a certificate isn't secret."""
    return {each: f"[{name}-certificate]" if each == "certificate" else f"[{name}]" for each in values}


class Mocks(pulumi.runtime.Mocks):
    """Gives a resource its inputs back as outputs; generated values get one name each, so that plans compare."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        kind = args.typ.removeprefix(DYNAMIC)
        outputs = {name: value for name, value in args.inputs.items() if name != "__provider"}
        if kind in GENERATED:
            outputs = stand_ins(args.name, outputs)
        return args.name, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"a component calls {args.token} while it is planned")


class Recorder(MockMonitor):
    """Records every request to register a resource."""

    def __init__(self) -> None:
        super().__init__(Mocks())
        self.recorded: list[Recorded] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the protocol's name
        answer = super().RegisterResource(request)
        kind = request.type.removeprefix(DYNAMIC)
        if kind != "pulumi:pulumi:Stack":
            sent = rpc.deserialize_properties(request.object, keep_unknowns=False)
            inputs = {name: rpc.unwrap_rpc_secret(value) for name, value in sent.items()}
            inputs.pop("__provider", None)
            inputs = stand_ins(request.name, inputs) if kind in GENERATED else inputs
            self.recorded.append(Recorded(kind, request.name, answer.urn, request.parent, inputs, request.custom))
        return answer


def blueprint(
    tier: int,
    folder: Path,
    chosen: Iterable[tuple[str, str]] = (),
    target: str = "host",
    edit: Callable[[str], str] = str,
) -> Blueprint:
    """Return the local environment's blueprint at another tier; its stack file is written into ``folder``.

    Each slot of ``chosen`` has the flavor beside it, instead of its tier's; ``edit`` has the last word on the text.
    """
    file = ROOT / "stacks" / f"Pulumi.{ENVIRONMENT}.yaml"
    catalog, table = Catalog(), TierTable.load()
    text = file.read_text(encoding="utf-8")
    assert TIER_LINE in text
    assert TARGET_LINE in text
    changed = folder / file.name
    lines = "".join(f"    {slot}: {{flavor: {flavor}}}\n" for slot, flavor in chosen)
    text = text.replace(TIER_LINE, f"terrace:tier: {tier}").replace(TARGET_LINE, f"terrace:target: {target}")
    changed.write_text(edit(text + lines), encoding="utf-8")
    return resolve(config.parse(stackfile.read(changed, file.name), ENVIRONMENT, catalog, table), table, catalog)


@cache
def event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of everything that tests make of Pulumi's outputs, which a test sets before it makes any.

    An ``asyncio.run`` of an earlier test leaves the thread none, and one that Pulumi makes nobody closes.

    It is never closed, which would end Pulumi's threads, whose own loops nobody closes.
    """
    return asyncio.new_event_loop()


def _ignore(_built: platform.Platform) -> None:
    """Look at nothing."""


def plan(wanted: Blueprint, look: Callable[[platform.Platform], Any] = _ignore) -> list[Recorded]:
    """Build the platform on the recorder and return all that was asked for, in the order of their URNs.

    ``look`` sees the platform while outputs can still be waited for; an output that it returns is.
    """
    recorder = Recorder()
    asyncio.set_event_loop(event_loop())
    pulumi.runtime.set_mocks(recorder.mocks, project="terrace", stack=ENVIRONMENT, monitor=recorder)
    with clean_pickling():
        pulumi.runtime.test(lambda: look(platform.build(wanted)))()
    return sorted(recorder.recorded, key=lambda resource: resource.urn)


def shortened(value: Any) -> Any:
    """Return a value to look at in a plan: long texts as their digest."""
    if isinstance(value, dict):
        return {name: shortened(item) for name, item in sorted(value.items())}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    if isinstance(value, str) and len(value) > LONGEST:
        return f"{len(value)} characters, sha256 {hashlib.sha256(value.encode()).hexdigest()[:16]}"
    return value
