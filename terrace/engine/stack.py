"""A stack: one environment of a project, and the operations on it."""

from __future__ import annotations

import contextvars
import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from terrace.engine.backend import Backend
from terrace.engine.errors import StateError
from terrace.engine.judge import Judge, everything, judged
from terrace.engine.lock import Holder, Lock, cancel
from terrace.engine.memory import rare_collections
from terrace.engine.model import Diagnostic, OnEvent, OutputsReady, ResourceState, Result
from terrace.engine.options import Options
from terrace.engine.passphrase import find_passphrase
from terrace.engine.project import Project
from terrace.engine.store import Store
from terrace.engine.values import Secret, mask, reveal

if TYPE_CHECKING:
    from terrace.engine.operation import Pass, Setting
    from terrace.engine.provider import Open
    from terrace.engine.report import Report

_DEFAULTS = Options()
_UNSURE = (
    "it was being created when an operation was killed, and may be there or not; the next `up` that wants it creates "
    "it again, which finds what is there if its provider can"
)


class Stack:
    """One environment of a project.

    Args:
        project: The project.
        name: The stack's name.
        passphrase: Gives the passphrase of the stack's secrets; asked only when needed.
        backend_url: Where state is kept, instead of where the project says.
        program: A function to run instead of the project's ``__main__.py``.
        packages: Makes the provider of each package that can be deployed beyond dynamic resources.
        judge: Looks at all resources as they are planned, before anything is touched. An error that it returns refuses
            the plan.

    Every operation takes ``on_event`` (told what happens, while it happens) and ``options``, and returns a `Result`. It
    raises a `terrace.errors.TerraceError` only when nothing was begun: the state can't be read, the passphrase is
    wrong, another operation holds the stack, or something is asked for that the embedded engine can't do.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        *,
        passphrase: Callable[[], str],
        backend_url: str | None = None,
        program: Callable[[], None] | None = None,
        packages: Mapping[str, Open] | None = None,
        judge: Judge | None = None,
    ) -> None:
        self.project = project
        self.name = name
        self._passphrase = passphrase
        self._program = program
        self._packages = packages or {}
        self._judge = judge
        self._backend = Backend(backend_url or project.backend_url, project.name, name, project.root)

    @property
    def exists(self) -> bool:
        """Whether the stack was ever made."""
        return self._backend.exists()

    def preview(self, *, on_event: OnEvent | None = None, options: Options = _DEFAULTS) -> Result:
        """Say what `up` would do. Changes nothing, and needs no lock."""
        return self._isolated(lambda: self._preview(on_event, options))

    def up(self, *, on_event: OnEvent | None = None, options: Options = _DEFAULTS) -> Result:
        """Make everything as the program says.

        When a resource fails, what is running is finished and nothing new begins; with ``continue_on_error``, what
        doesn't depend on the failed resource goes on.
        """
        return self._isolated(lambda: self._change("update", on_event, options))

    def destroy(self, *, on_event: OnEvent | None = None, options: Options = _DEFAULTS) -> Result:
        """Delete everything that the state knows. The program isn't run; the stack itself stays."""
        return self._isolated(lambda: self._change("destroy", on_event, options))

    def refresh(self, *, on_event: OnEvent | None = None, options: Options = _DEFAULTS) -> Result:
        """Bring the state in line with what is really there. The program isn't run."""
        return self._isolated(
            lambda: self._change("refresh", on_event, dataclasses.replace(options, continue_on_error=True))
        )

    def import_(self, *, on_event: OnEvent | None = None, options: Options = _DEFAULTS) -> Result:
        """Take what ``options.imports`` names into the stack, as it is. The program isn't run."""
        return self._isolated(lambda: self._change("import", on_event, options))

    def cancel(self) -> list[Holder]:
        """Remove the locks of operations that surely don't run any more; returns whose they were."""
        return cancel(self._backend)

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """The stack's outputs, from the state; secrets read ``[secret]`` unless shown."""
        deployment, _ = self._open().load()
        root = deployment.root()
        outputs: dict[str, Any] = root.outputs if root is not None else {}
        shown: dict[str, Any] = reveal(outputs) if show_secrets else mask(outputs)
        return shown

    def encrypt(self, text: str) -> str:
        """Encrypt a secret for the stack file, which gets an encryption salt where it has none."""
        store = self._open()
        store.secure()
        return store.crypter.encrypt(text)

    def resources(self) -> list[ResourceState]:
        """The stack's resources, from the state, secrets masked."""
        deployment, _ = self._open().load()
        return [
            ResourceState(
                urn=item.urn,
                type=item.type,
                id=item.id,
                custom=item.custom,
                parent=item.parent,
                protect=item.protect,
                inputs=mask(item.inputs),
                outputs=mask(item.outputs),
            )
            for item in deployment.resources
            if not item.delete
        ]

    def _open(self) -> Store:
        return Store.open(self._backend, self.project.stack_file(self.name), self.project.name, self._passphrase)

    def _other_outputs(self, name: str) -> dict[str, Any]:
        """The outputs of another stack of the same backend.

        Args:
            name: ``stack``, ``organization/stack``, or ``organization/project/stack``.
        """
        backend = self._backend.of_stack(name)
        if not backend.exists():
            raise StateError(f"unknown stack {name!r}", where=str(backend.checkpoint))
        store = Store.read_only(
            backend, lambda: find_passphrase(backend.project, backend.stack, has_secrets=True).value
        )
        deployment, _ = store.load()
        root = deployment.root()
        outputs: dict[str, Any] = root.outputs if root is not None else {}
        reveal(outputs)  # now, so that a wrong passphrase is an error of whoever asks
        return outputs

    def _deployable(self) -> frozenset[str]:
        from terrace.engine.operation import deployable

        return deployable(self._packages)

    @staticmethod
    def _isolated(body: Callable[[], Result]) -> Result:
        """The SDK keeps its state in context variables, so each operation has its own context."""
        with rare_collections():
            return contextvars.copy_context().run(body)

    def _setting(self, store: Store, report: Report, options: Options, *, preview: bool) -> Setting:
        from terrace.engine.operation import Setting
        from terrace.engine.program import Run

        store.unlocked()
        report.hide([Secret(text) for text in store.stack_file.secrets(store.crypter)])
        run = Run(
            project=self.project.name,
            stack=self.name,
            root=self.project.root,
            main=self.project.main,
            config={**self.project.config, **store.stack_file.values(store.crypter)},
            secret_keys=store.stack_file.secret_keys(),
            preview=preview,
            parallel=max(options.parallel, 1),
        )
        return Setting(run, store.crypter, self._program, options, self._packages, self._other_outputs)

    def _preview(self, on_event: OnEvent | None, options: Options) -> Result:
        store = self._open()
        store.unlock()
        from terrace.engine.report import Report

        report = Report(on_event, preview=True, packages=self._deployable())
        result = self._plan(store, report, "update", options, intended=False)
        for said in result.judged:
            report.emit(said)
        report.emit(OutputsReady(result.outputs))
        return result

    def _plan(self, store: Store, report: Report, kind: str, options: Options, *, intended: bool) -> Result:
        """Plan; if it is intended to be carried out at once, what stands in the way is an error."""
        from terrace.engine.operation import Pass
        from terrace.engine.program import surroundings

        setting = self._setting(store, report, dataclasses.replace(options, continue_on_error=True), preview=True)
        deployment, _ = store.load()
        with surroundings(self.project.main, report.say):
            if options.refresh and kind != "refresh":
                refreshed = Pass(setting, deployment, report, None)
                refreshed.refresh()
                deployment = refreshed.snapshot.deployment()
            plan = Pass(setting, deployment, report, None)
            _carry_out(plan, kind)
            plan.tell_obstacles(fatal=intended)
        if self._judge is None or kind != "update" or not plan.result().ok:
            return plan.result()
        if options.targets:
            return judged(plan, report, self._judge, everything(self.project, self.name, self._program))
        return judged(plan, report, self._judge, plan.snapshot.deployment().resources)

    def _change(self, kind: str, on_event: OnEvent | None, options: Options) -> Result:
        self._backend.prepare()
        with Lock(self._backend):
            store = self._open()
            store.unlock()
            from terrace.engine.report import Report

            report = Report(on_event, preview=False, packages=self._deployable(), refresh=kind == "refresh")
            store.unlocked()
            self._begin(store, report)
            if kind != "refresh" and (refused := self._refused(store, report, kind, options)) is not None:
                return refused
            if options.refresh and kind != "refresh":
                refreshed = self._apply(store, report, "refresh", options)
                if not refreshed.ok:
                    return refreshed
            return self._apply(store, report, kind, options)

    def _refused(self, store: Store, report: Report, kind: str, options: Options) -> Result | None:
        """Plan, so that what can't be done or is wrong is told before anything is touched; None if all is well."""
        from terrace.engine.providers import refuse_unsupported
        from terrace.engine.report import Report

        silent = Report(None, preview=True, packages=self._deployable())
        planned = self._plan(store, silent, kind, options, intended=True)
        refuse_unsupported(((step.type, step.urn) for step in planned.steps if step.unverified), self._deployable())
        for said in planned.judged:
            if said.severity != "error":
                report.emit(said)
        if planned.ok:
            return None
        for error in planned.errors:
            report.emit(Diagnostic("error", error.urn, error.message))
        return dataclasses.replace(planned, steps=(), summary={})

    def _begin(self, store: Store, report: Report) -> None:
        store.secure()
        if store.salt_added:
            report.emit(Diagnostic("info", "", f"added an encryption salt to {store.stack_file.path}"))
        if (notice := store.recover()) is not None:
            report.emit(notice)

    def _apply(self, store: Store, report: Report, kind: str, options: Options) -> Result:
        from terrace.engine.journal import Journal
        from terrace.engine.operation import Pass, describe
        from terrace.engine.program import surroundings

        start = time.time()
        setting = self._setting(store, report, options, preview=False)
        deployment, _ = store.load()
        journal = Journal(self._backend.journal, self._backend.checkpoint, kind, store.crypter.salt)
        folded = False
        try:
            with surroundings(self.project.main, report.say):
                operation = Pass(setting, deployment, report, journal)
                _carry_out(operation, kind)
            after = operation.snapshot.deployment()
            if operation.snapshot.changed or deployment.pending or not self._backend.checkpoint.exists():
                store.write(after, journal)
            folded = True
        finally:
            journal.close(remove=folded)
        for _, resource in after.pending:
            report.say("warning", resource.urn, _UNSURE)
        result = operation.result()
        store.record(describe(kind, result, start, time.time(), self.project.root))
        report.emit(OutputsReady(result.outputs))
        return result


def _carry_out(work: Pass, kind: str) -> None:
    if kind == "update":
        work.update()
    elif kind == "destroy":
        work.destroy()
    elif kind == "import":
        work.take_in()
    else:
        work.refresh()
