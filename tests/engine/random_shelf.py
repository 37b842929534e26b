"""A dynamic provider for random programs, and a world whose program is plain data.

A resource is a file in the folder WORLD; a call is two lines in the file ``calls`` beside it. What is to fail stands in
the file ``failing``, so that it is no part of the program.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pulumi
from pulumi import ResourceOptions
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from terrace.engine import Project, Stack
from tests.engine.engine_world import PASSPHRASE, World
from tests.engine.random_programs import NOTHING, Program, Thing

PAUSE = "PAUSE"  # seconds that a call takes; also forgives calls that a killed operation made already
_MADE = "made"


class Shelf(ResourceProvider):
    """Keeps resources as files. Inputs whose names begin with ``fixed`` can't be changed in place."""

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        changed = {key for key in {**olds, **news} if olds.get(key) != news.get(key)} - {"__provider", _MADE}
        return DiffResult(
            changes=bool(changed),
            replaces=sorted(key for key in changed if key.startswith("fixed")),
            delete_before_replace=bool(news.get("delete_first")),
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        content = _content(props)
        identifier = f"{props['label']}-{_digest(_fixed(props)):x}"
        with _call("create", identifier):
            _must(not _file(identifier).exists(), f"{identifier} is there already")
            _store(identifier, content)
        return CreateResult(identifier, content)

    def update(self, identifier: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        content = _content(news)
        with _call("update", identifier):
            _must(_file(identifier).exists(), f"{identifier} isn't there")
            _store(identifier, content)
        return UpdateResult(content)

    def read(self, identifier: str, _props: dict[str, Any]) -> ReadResult:
        if not _file(identifier).exists():
            return ReadResult(None, {})
        return ReadResult(identifier, json.loads(_file(identifier).read_text(encoding="utf-8")))

    def delete(self, identifier: str, _props: dict[str, Any]) -> None:
        with _call("delete", identifier):
            _must(_file(identifier).exists(), f"{identifier} isn't there")
            _file(identifier).unlink(missing_ok=True)


def _content(props: dict[str, Any]) -> dict[str, Any]:
    """What a resource with these inputs is. What is made of it changes with its value, and when it is replaced."""
    plain = {key: value for key, value in props.items() if key != "__provider"}
    return {**plain, _MADE: f"{props['label']} of {props['value']:g}, {_digest(_fixed(props)):x}"}


def _fixed(props: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in props.items() if key.startswith("fixed")}


def _digest(values: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


@contextlib.contextmanager
def _call(method: str, identifier: str) -> Iterator[None]:
    """Notes when a call begins and ends, and fails it if it is to fail."""
    root = Path(os.environ["WORLD"]).parent
    _may_fail(method, identifier.partition("-")[0])
    _log(root, ["begin", method, identifier])
    time.sleep(float(os.environ.get(PAUSE, "0")))
    yield
    _log(root, ["end", method, identifier])


def _may_fail(method: str, key: str) -> None:
    failing = Path(os.environ["WORLD"]).with_name("failing")
    if failing.exists() and [method, key] in json.loads(failing.read_text(encoding="utf-8")):
        raise RuntimeError(f"{method} of {key} was told to fail")


def _log(root: Path, line: list[str]) -> None:
    with (root / "calls").open("ab", buffering=0) as file:
        file.write(json.dumps(line).encode() + b"\n")


def _must(condition: bool, message: str) -> None:
    if not condition and PAUSE not in os.environ:
        raise RuntimeError(message)


def _file(identifier: str) -> Path:
    return Path(os.environ["WORLD"]) / f"{identifier}.json"


def _store(identifier: str, content: dict[str, Any]) -> None:
    half = Path(os.environ["WORLD"]).parent / f"{identifier}.{threading.get_ident()}"
    half.write_text(json.dumps(content), encoding="utf-8")
    half.replace(_file(identifier))


class Filed(Resource):
    """A resource of the shelf."""

    made: pulumi.Output[str]
    secret: pulumi.Output[str]


class Group(pulumi.ComponentResource):
    """A component."""

    def __init__(self, name: str, opts: ResourceOptions) -> None:
        super().__init__("test:index:Group", name, None, opts)


def build(program: Program) -> None:
    """Register what the program says."""
    known: dict[str, pulumi.Resource] = {}
    for component in program.components:
        aliases = [pulumi.Alias(name=name) for name in component.earlier]
        known[component.key] = Group(component.name, ResourceOptions(aliases=aliases))
    for thing in program.things:
        if not pulumi.runtime.is_dry_run():
            _may_fail("register", thing.key)
        known[thing.key] = Filed(Shelf(), thing.name, _inputs(thing, program, known), _options(thing, known))
    for thing in program.things[-1:]:
        pulumi.export("last", known[thing.key].made)  # type: ignore[attr-defined]


def _inputs(thing: Thing, program: Program, known: dict[str, Any]) -> dict[str, Any]:
    secrets = {item.key for item in program.things if item.secret}
    inputs: dict[str, Any] = {"label": thing.key, "value": thing.value, "fixed": thing.fixed}
    if thing.secret:
        inputs["secret"] = pulumi.Output.secret(f"secret-{thing.secret}")
    if thing.delete_first == "provider":
        inputs["delete_first"] = True
    for key in thing.uses:
        inputs[f"from_{key}"] = known[key].secret if key in secrets else known[key].made
    for key in thing.fixed_by:
        inputs[f"fixed_from_{key}"] = known[key].made
    return {_MADE: None, "secret": None, **inputs}


def _options(thing: Thing, known: dict[str, pulumi.Resource]) -> ResourceOptions:
    return ResourceOptions(
        parent=known.get(thing.component),
        aliases=list(thing.earlier),
        depends_on=[known[key] for key in thing.after],
        delete_before_replace=True if thing.delete_first == "option" else None,
        protect=False,
    )


def open_stack(root: Path, program: Program) -> Stack:
    """The stack of a world that was made already, with this program."""
    os.environ["WORLD"] = str(root / "things")
    return Stack(Project.load(root), "dev", passphrase=lambda: PASSPHRASE, program=lambda: build(program))


@dataclass
class ShelfWorld(World):
    """A world whose program is plain data."""

    program: str = "basic"  # never run
    wanted: Program = NOTHING

    def __post_init__(self) -> None:
        super().__post_init__()
        self.set_stage(1)

    def stack(self, name: str = "dev", passphrase: str = PASSPHRASE) -> Stack:
        return open_stack(self.root, self.wanted)

    def fail(self, methods: tuple[tuple[str, str], ...]) -> None:
        """Let these methods of these things fail from now on."""
        (self.root / "failing").write_text(json.dumps(methods), encoding="utf-8")

    def meddle(self, changed: tuple[str, ...], vanished: tuple[str, ...]) -> None:
        """Change and remove things behind the engine's back."""
        for file in (self.root / "things").iterdir():
            key = file.stem.partition("-")[0]
            if key in vanished:
                file.unlink()
            elif key in changed:
                content = json.loads(file.read_text(encoding="utf-8"))
                file.write_text(json.dumps({**content, "value": content["value"] + 0.5}), encoding="utf-8")

    def held(self) -> dict[str, Any]:
        """What is really there, by id."""
        files = sorted((self.root / "things").iterdir())
        return {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in files}

    def listed(self) -> dict[str, Any]:
        """What is there according to the state, by id."""
        raws = [raw for raw in self.state() if raw.get("id") and "pulumi:providers" not in raw["type"]]
        there = [raw for raw in raws if not raw.get("pendingReplacement")]
        listed = {raw["id"]: {key: _plain(raw["outputs"][key]) for key in raw["outputs"]} for raw in there}
        assert len(listed) == len(there), "an id stands in the state twice"
        for outputs in listed.values():
            del outputs["__provider"]
        return dict(sorted(listed.items()))


def _plain(value: Any) -> Any:
    return value["secret"] if isinstance(value, dict) else value
