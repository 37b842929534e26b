"""A stack that plays a recorded operation, for tests of the command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from typer.testing import CliRunner

from terrace.cli import application
from terrace.engine.model import (
    Event,
    OnEvent,
    Result,
    Step,
)
from terrace.engine.options import Options

PREFIX = "urn:pulumi:local::terrace::"
COMPONENT = Step(
    "create", PREFIX + "terrace:platform:Platform$terrace:tracking:MLflow::mlflow", "terrace:tracking:MLflow"
)
ROLE_TYPE = "pulumi-python:dynamic/terrace:HostRole"
ROLE = Step(
    "create", PREFIX + f"terrace:platform:Platform$terrace:tracking:MLflow${ROLE_TYPE}::mlflow-service", ROLE_TYPE
)
HOST = Step("same", PREFIX + f"terrace:platform:Platform${ROLE_TYPE}::host", ROLE_TYPE)


@dataclass
class Recorded:
    """A stack whose operations tell ``events`` and end with ``result``."""

    result: Result
    events: tuple[Event, ...] = ()
    shown: dict[str, Any] = field(default_factory=dict)
    ran: list[str] = field(default_factory=list)
    raises: BaseException | None = None
    options: Options = field(default_factory=Options)

    def _run(self, operation: str, on_event: OnEvent | None, options: Options) -> Result:
        self.ran.append(operation)
        self.options = options
        if self.raises:
            raise self.raises
        if on_event:
            for event in self.events:
                on_event(event)
        return self.result

    def preview(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("preview", on_event, options)

    def up(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("up", on_event, options)

    def refresh(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("refresh", on_event, options)

    def destroy(self, *, on_event: OnEvent | None = None, options: Options) -> Result:
        return self._run("destroy", on_event, options)

    def cancel(self) -> None:
        self.ran.append("cancel")

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        self.ran.append("outputs, secrets shown" if show_secrets else "outputs")
        return self.shown


def result(*steps: Step, **changes: Any) -> Result:
    counts = {step.op: sum(other.op == step.op for other in steps) for step in steps}
    return Result(**{"ok": True, "steps": steps, "summary": counts, "outputs": {}, "errors": (), **changes})


def run(*arguments: str) -> Any:
    return CliRunner().invoke(application(), arguments)
