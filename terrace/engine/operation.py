"""One pass over a stack: plan it, carry it out, collect what happened."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine.action import Action
from terrace.engine.builtin import PACKAGE as BUILTIN
from terrace.engine.builtin import Builtin
from terrace.engine.dynamic import PACKAGE as DYNAMIC
from terrace.engine.dynamic import DynamicProviders
from terrace.engine.errors import CancelledError, StepError
from terrace.engine.executor import Executor
from terrace.engine.git import commit_of
from terrace.engine.importing import Importer
from terrace.engine.journal import Journal
from terrace.engine.kubernetes import PACKAGE as KUBERNETES
from terrace.engine.kubernetes import Kubernetes
from terrace.engine.log import EngineLog
from terrace.engine.model import Result
from terrace.engine.monitor import Monitor
from terrace.engine.names import Names
from terrace.engine.options import Options
from terrace.engine.planner import Planner
from terrace.engine.program import ProgramError, Run, run_program, threads
from terrace.engine.provider import Open
from terrace.engine.providers import Providers, refuse_unsupported
from terrace.engine.report import Report
from terrace.engine.secrets import Crypter
from terrace.engine.snapshot import Snapshot
from terrace.engine.state import Deployment, Resource
from terrace.engine.steps import Steps
from terrace.engine.targets import Targets
from terrace.engine.values import Secret, mask


@dataclass(frozen=True)
class Setting:
    """What all passes of an operation share.

    Attributes:
        run: The stack and its configuration.
        crypter: Encrypts what goes to the journal.
        program: The program, if it is a function.
        options: How it is to be done.
        packages: Makes the provider of each package beyond those of every engine.
        stack_outputs: Gives the outputs of another stack.
    """

    run: Run
    crypter: Crypter
    program: Callable[[], None] | None
    options: Options
    packages: Mapping[str, Open]
    stack_outputs: Callable[[str], dict[str, Any]]


def deployable(packages: Iterable[str]) -> frozenset[str]:
    """The packages whose resources can be deployed: those of every engine, and these."""
    return frozenset({BUILTIN, DYNAMIC, KUBERNETES, *packages})


class Pass:
    """One pass over the resources of a stack, for real if it has a journal, else a preview.

    Args:
        setting: What all passes share.
        deployment: The state to start from; its resources are changed.
        report: Collects what happens.
        journal: Where changes are recorded.
    """

    def __init__(self, setting: Setting, deployment: Deployment, report: Report, journal: Journal | None) -> None:
        run = setting.run
        preview = journal is None
        self._setting = setting
        self._run = run
        self._report = report
        self._resources = deployment.resources
        self._preview = preview
        self.interrupted = False
        self.snapshot = Snapshot(deployment, setting.crypter, journal)
        dynamic = DynamicProviders(run.project, run.config, contextvars.copy_context())
        self._builtin = Builtin(setting.stack_outputs)
        packages: dict[str, Open] = {
            BUILTIN: lambda _: self._builtin,
            DYNAMIC: lambda _: dynamic,
            KUBERNETES: Kubernetes(),
            **setting.packages,
        }
        self._providers = Providers(packages, deployment.resources)
        self._names = names = Names(run.stack, run.project, deployment.resources)
        self._planner = Planner(
            deployment.resources,
            names,
            self._providers,
            preview=preview,
            warn=lambda urn, message: report.say("info", urn, message),
            targets=Targets(setting.options),
        )
        steps = Steps(
            self.snapshot,
            self._providers,
            preview=preview,
            condemned=self._planner.condemned,
            warn=lambda urn, message: report.say("warning", urn, message),
        )
        self._executor = Executor(steps, report, parallel=run.parallel)

    def update(self) -> None:
        """Run the program, and delete what it doesn't want any more."""
        run = self._run
        monitor = Monitor(
            self._planner,
            self._executor,
            self.snapshot,
            self._report,
            self._builtin,
            root=run.root,
            config=self._config(),
            preview=self._preview,
            continue_on_error=self._setting.options.continue_on_error,
        )

        def body() -> None:
            finished = self._run_program(monitor)  # else nobody knows what it would have wanted
            self._check_targets()
            if finished and (not self._report.errors or self._setting.options.continue_on_error):
                self._delete_rounds(monitor.left)

        self._interruptible(body)
        if monitor.refusal is not None:
            raise monitor.refusal
        monitor.finish(ok=not self._report.errors and not self.interrupted)

    def destroy(self) -> None:
        """Delete everything."""
        self._refuse_unsupported()
        self._check_targets()
        if not self._report.errors:
            self._interruptible(lambda: self._delete_rounds([]))

    def refresh(self) -> None:
        """Compare everything with what is really there."""
        self._refuse_unsupported()
        self._check_targets()
        if self._report.errors:
            return
        targets = Targets(self._setting.options)
        wanted = [item for item in self._resources if targets.names(item.urn) and not item.pending_replacement]
        actions = [Action("refresh", None, resource, refreshed=True) for resource in wanted]
        self.snapshot.tidy()
        self._interruptible(lambda: self._run_all(actions))

    def take_in(self) -> None:
        """Import what the options name."""
        packages = deployable(self._setting.packages)
        importer = Importer(self._run, self._config(), self._resources, self._names, self._executor, packages)

        def body() -> None:
            try:
                actions = importer.actions(self._setting.options.imports)
            except StepError as error:
                self._report.say("error", "", self._report.fail("", str(error)))
            else:
                self._run_all(actions)

        self._interruptible(body)

    def tell_obstacles(self, *, fatal: bool) -> None:
        """Tell why what was planned can't be carried out now; as errors if it was to be."""
        for text in self._providers.obstacles():
            if fatal:
                self._report.fail("", text)
            else:
                self._report.say("warning", "", f"as it is now, this can't be carried out: {text}")

    def result(self) -> Result:
        """How the pass ended."""
        errors = self._report.errors
        root = self.snapshot.deployment().root()
        return Result(
            ok=not errors and not self.interrupted,
            steps=self._report.steps,
            summary=self._report.summary(),
            outputs=mask(root.outputs) if root is not None else {},
            errors=errors,
            interrupted=self.interrupted,
        )

    def _config(self) -> dict[str, Any]:
        """The stack's configuration, secrets marked and from now on hidden."""
        run = self._run
        config = {key: Secret(value) if key in run.secret_keys else value for key, value in run.config.items()}
        self._report.hide(config)
        return config

    def _run_program(self, monitor: Monitor) -> bool:
        """Returns whether the program came to its end."""
        finished = True
        try:
            run_program(self._run, monitor, EngineLog(self._report), self._setting.program)
        except ProgramError as error:
            finished = False
            # A program that was stopped because a resource failed or was refused fails too, which says nothing new.
            if not self._executor.stopped:
                self._report.say("error", "", self._report.fail("", str(error)))
        self._executor.wait()
        return finished

    def _delete_rounds(self, left: list[Resource]) -> None:
        rounds = self._planner.deletions()
        beyond = self._planner.beyond_targets(rounds)
        for urn in beyond:
            why = "it would be deleted with a target, but isn't one; add --target-dependents to delete it too"
            self._report.say("error", urn, self._report.fail(urn, why))
        for actions in rounds if not beyond else ():
            spared = self._planner.spared(left)
            left += self._run_all(action for action in actions if action.resource not in spared)
            if left and not self._setting.options.continue_on_error:
                return

    def _check_targets(self) -> None:
        for urn in self._planner.unknown_targets():
            self._report.say(
                "error", "", self._report.fail("", f"the target {urn} is neither in the program nor there")
            )

    def _run_all(self, actions: Iterable[Action]) -> list[Resource]:
        """Carry out actions in parallel; returns the resources whose actions failed."""
        failed: list[Resource] = []

        def carry_out(action: Action) -> None:
            try:
                self._executor.run(action)
            except StepError:
                failed.append(action.resource)
                if not self._setting.options.continue_on_error and not self._preview:
                    self._executor.stop()
            except CancelledError:
                pass

        with threads(self._run.parallel) as submit:
            for future in [submit(contextvars.copy_context().run, carry_out, action) for action in actions]:
                future.result()
        return failed

    def _interruptible(self, body: Callable[[], object]) -> None:
        """Let Ctrl-C stop the operation in good order: what runs is finished and recorded, nothing new begins."""
        try:
            body()
        except KeyboardInterrupt:
            self.interrupted = True
            self._executor.stop()
            self._report.say("warning", "", "stopping as soon as what is running is done; Ctrl-C again stops at once")
            self._report.fail("", "the operation was interrupted")
            self._executor.wait()

    def _refuse_unsupported(self) -> None:
        refuse_unsupported(
            ((item.type, item.urn) for item in self._resources if item.custom), deployable(self._setting.packages)
        )


def describe(update: str, result: Result, start: float, end: float, root: Path) -> dict[str, Any]:
    """A history entry; it names the commit of the project in ``root``."""
    commit, title = commit_of(root)
    return {
        "kind": "resource-import" if update == "import" else update,
        "startTime": int(start),
        "message": title,
        "environment": {"exec.kind": "terrace", **commit},
        "version": 0,
        "result": "succeeded" if result.ok else "failed",
        "endTime": int(end),
        "resourceChanges": result.summary,
    }
