"""What a program asks for, on an empty state: no state is read, no provider is asked, and no passphrase is needed.

The same stack file gives the same outputs. What a program makes anew on each run, and the state keeps the first one of
(``ignore_changes``), has a text of its own in them, which begins with ``STAND_IN``.
"""

from __future__ import annotations

import contextvars
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from terrace.engine.dynamic import PACKAGE as DYNAMIC
from terrace.engine.dynamic import DynamicProviders
from terrace.engine.errors import StateError, StepError
from terrace.engine.kubernetes import PACKAGE as KUBERNETES
from terrace.engine.memory import rare_collections
from terrace.engine.operation import Pass, Setting
from terrace.engine.options import Options
from terrace.engine.program import Run, surroundings
from terrace.engine.project import Project
from terrace.engine.provider import Failure, Found, Open, Values
from terrace.engine.report import Report
from terrace.engine.secrets import Crypter
from terrace.engine.stackfile import StackFile
from terrace.engine.state import Deployment, Resource

STAND_IN = "generated-value-"


@dataclass(frozen=True)
class Outline:
    """What a program asks for.

    Attributes:
        resources: The resources, as a state would have them if all of it were new.
        errors: Why it couldn't say; empty where it could.
    """

    resources: tuple[Resource, ...]
    errors: tuple[str, ...]


def outline(project: Project, stack: str, program: Callable[[], None] | None = None) -> Outline:
    """Run the program of a stack, or ``program`` in its place, and return what it asks for.

    Secrets of the stack file stay closed: the program gets a text of its own for each.

    Raises:
        InputError: The stack file is wrong.
    """
    with rare_collections():
        return contextvars.copy_context().run(_outline, project, stack, program)


def _outline(project: Project, stack: str, program: Callable[[], None] | None) -> Outline:
    file = StackFile.load(project.stack_file(stack), project.name)
    closed = _Closed()
    run = Run(
        project=project.name,
        stack=stack,
        root=project.root,
        main=project.main,
        config={**project.config, **file.values(closed)},
        secret_keys=file.secret_keys(),
        preview=True,
        parallel=Options.parallel,
    )
    nobody = _Nobody(run.project, run.config, contextvars.copy_context())
    packages: dict[str, Open] = dict.fromkeys((DYNAMIC, KUBERNETES), lambda _: nobody)
    setting = Setting(run, closed, program, Options(continue_on_error=True), packages, _unread)
    report = Report(None, preview=True, packages=())
    with surroundings(project.main, report.say):
        work = Pass(setting, Deployment(), report, None)
        work.update()
    return Outline(tuple(work.snapshot.deployment().resources), tuple(error.message for error in report.errors))


class _Closed(Crypter):
    """Opens no secret: gives a text of its own for each, which is the same each time."""

    def __init__(self) -> None:
        super().__init__("", lambda: "", "")

    def decrypt(self, ciphertext: str, where: str = "") -> str:  # noqa: ARG002 - the base's shape
        return f"closed-{hashlib.sha256(ciphertext.encode()).hexdigest()[:25]}"


class _Nobody(DynamicProviders):
    """Takes inputs as they are, and looks at nothing."""

    def check(self, _urn: str, _old: Values | None, new: Values) -> tuple[Values, list[Failure]]:
        return new, []

    def preview(self, _old: Resource | None, new: Resource | None) -> Values:
        if new is None:
            return {}
        return new.inputs | {key: f"{STAND_IN}{new.name}-{key}" for key in new.ignore_changes if key in new.inputs}

    def obstacles(self) -> list[str]:
        return []

    def read(self, resource: Resource) -> Found:
        raise StepError("what is there can't be looked at without an engine", where=resource.urn)


def _unread(name: str) -> dict[str, Any]:
    raise StateError(f"the outputs of the stack {name!r} aren't known without its state", where=name)
