"""A dynamic provider for tests: a resource is a file in the folder WORLD, a call is a line in the file CALLS."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)


class Recorder(ResourceProvider):
    """Behaves as the resource's inputs say.

    ``label``: the id. ``fail``: methods that raise. ``no_opinion``: leave the diff to the engine.
    ``refuse``: fail the check.
    Inputs whose names begin with ``fixed`` can't be changed in place; ``delete_first`` is the provider's wish.
    """

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        failures = [CheckFailure("refuse", "it was refused")] if news.get("refuse") else []
        return CheckResult({**news, "checked": True}, failures)

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        if news.get("no_opinion"):
            return DiffResult()
        keys = {key for key in {**olds, **news} if key not in ("__provider", "made", "token", "nested")}
        changed = {key for key in keys if olds.get(key) != news.get(key)}
        return DiffResult(
            changes=bool(changed),
            replaces=sorted(key for key in changed if key.startswith("fixed")),
            delete_before_replace=bool(news.get("delete_first")),
        )

    def create(self, props: dict[str, Any]) -> CreateResult:
        self._call("create", props)
        outputs = self._outputs(props)
        self._file(props["label"]).write_text(json.dumps(outputs), encoding="utf-8")
        return CreateResult(props["label"], outputs)

    def update(self, identifier: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        self._call("update", news)
        outputs = self._outputs(news)
        self._file(identifier).write_text(json.dumps(outputs), encoding="utf-8")
        return UpdateResult(outputs)

    def read(self, identifier: str, props: dict[str, Any]) -> ReadResult:
        file = self._file(identifier)
        if not file.exists():
            return ReadResult(None, {})
        outputs = json.loads(file.read_text(encoding="utf-8"))
        return ReadResult(identifier, {**props, **outputs})

    def delete(self, identifier: str, props: dict[str, Any]) -> None:
        self._call("delete", props)
        self._file(identifier).unlink()

    def _outputs(self, props: dict[str, Any]) -> dict[str, Any]:
        plain = {key: value for key, value in props.items() if key != "__provider"}
        return {
            **plain,
            "made": f"made of {props.get('value')}",
            "token": "t0ken",
            "nothing": None,
            "nested": {"no": None},
        }

    def _call(self, method: str, props: dict[str, Any]) -> None:
        plain = {key: value for key, value in props.items() if key != "__provider"}
        with Path(os.environ["CALLS"]).open("a", encoding="utf-8") as file:
            file.write(json.dumps([method, props["label"], plain], sort_keys=True) + "\n")
        if method in (props.get("fail") or []):
            raise RuntimeError(f"{method} of {props['label']} was told to fail")

    @staticmethod
    def _file(identifier: str) -> Path:
        return Path(os.environ["WORLD"]) / f"{identifier}.json"


class Thing(Resource):
    """A resource of the recorder."""

    made: pulumi.Output[str]
    token: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__(Recorder(), name, {"label": name, **inputs, "made": None, "token": None}, opts)


class OtherThing(Resource, module="other", name="OtherThing"):
    """The same under another type."""

    made: pulumi.Output[str]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__(Recorder(), name, {"label": name, **inputs, "made": None}, opts)


class Custom(Resource):
    """A resource of another provider."""

    made: pulumi.Output[str]

    def __init__(self, name: str, provider: Any, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__(provider, name, {"label": name, **inputs, "made": None}, opts)


class Group(pulumi.ComponentResource):
    """A component."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Group", name, None, opts)


Options = pulumi.ResourceOptions


def __getattr__(name: str) -> Any:
    # Not a constant: a provider's process imports this module too, and has no configuration.
    if name == "stage":
        return pulumi.Config().require_int("stage")
    raise AttributeError(name)
