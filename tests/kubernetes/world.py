"""A project whose program is a function, deployed by the embedded engine to the tests' control plane."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from terrace.engine import Diagnostic, Event, Options, Project, ResourceState, Result, Stack
from terrace.engine.options import Import
from tests.kubernetes.control_plane import ControlPlane

Program = Callable[[], None]
_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}


class World:
    """One stack, and one namespace that its program may make."""

    def __init__(self, root: Path, plane: ControlPlane, name: str) -> None:
        self.root = root
        self.plane = plane
        self.namespace = (
            f"{re.sub('[^a-z0-9]+', '-', name.removeprefix('test_').lower()).strip('-')[:40]}-{uuid.uuid4().hex[:6]}"
        )
        self.said: list[Diagnostic] = []
        root.mkdir()
        (root / "Pulumi.yaml").write_text(f"name: kube\nruntime: python\nbackend: {{url: 'file://{root}'}}\n")
        self.configure({})

    def configure(self, config: dict[str, str]) -> None:
        lines = "".join(f"  {key}: {value}\n" for key, value in config.items())
        (self.root / "Pulumi.dev.yaml").write_text(f"config:\n{lines}" if lines else "config: {}\n", encoding="utf-8")

    def up(self, program: Program, **options: Any) -> Result:
        return self._stack(program).up(on_event=self._hear, options=Options(**options))

    def preview(self, program: Program, **options: Any) -> Result:
        return self._stack(program).preview(on_event=self._hear, options=Options(**options))

    def refresh(self) -> Result:
        return self._stack(None).refresh(on_event=self._hear)

    def take_in(self, *imports: Import) -> Result:
        return self._stack(None).import_(on_event=self._hear, options=Options(imports=imports))

    def history(self) -> dict[str, Any]:
        """What the stack's history says of the last operation."""
        newest = max((self.root / ".pulumi/history/kube/dev").glob("*.history.json"))
        entry: dict[str, Any] = json.loads(newest.read_text(encoding="utf-8"))
        return entry

    def destroy(self) -> Result:
        return self._stack(None).destroy(on_event=self._hear)

    def resources(self) -> dict[str, ResourceState]:
        """The state, by logical names; the stack and providers left out."""
        found = self._stack(None).resources()
        return {item.urn.rpartition("::")[2]: item for item in found if item.type.startswith("kubernetes:")}

    def checkpoint(self) -> str:
        """The text of the state."""
        return (self.root / ".pulumi/stacks/kube/dev.json").read_text(encoding="utf-8")

    def object(self, kind: str, name: str, api: str = "api/v1") -> Any:
        """An object of this world's namespace as it is in the cluster; None if it isn't there."""
        return self.plane.request("GET", self.path(kind, name, api))

    def path(self, kind: str, name: str, api: str = "api/v1") -> str:
        plural = _PLURALS.get(kind, f"{kind.lower()}s")
        return f"/{api}/namespaces/{self.namespace}/{plural}/{name}"

    def edit(self, kind: str, name: str, patch: dict[str, Any], api: str = "api/v1", manager: str = "hand") -> None:
        """Change an object as somebody else would by hand."""
        path = f"{self.path(kind, name, api)}?fieldManager={manager}"
        self.plane.request("PATCH", path, patch, content="application/merge-patch+json")

    def _stack(self, program: Program | None) -> Stack:
        return Stack(Project.load(self.root), "dev", passphrase=lambda: "correct horse", program=program)

    def _hear(self, event: Event) -> None:
        if isinstance(event, Diagnostic):
            self.said.append(event)


def steps(result: Result) -> dict[str, str]:
    """What happened, by logical names: the last step of each resource but `same`. Raises if it failed."""
    assert result.ok, result.errors
    return {
        step.urn.rpartition("::")[2]: step.op
        for step in result.steps
        if step.op != "same" and step.type.startswith("kubernetes:")
    }


def messages(result: Result) -> str:
    """Why an operation failed."""
    assert not result.ok, result.summary
    return "\n".join(error.message for error in result.errors)
