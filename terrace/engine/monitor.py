"""The resource monitor and engine that the Pulumi SDK talks to, as objects in this process.

They have the methods of the SDK's gRPC stubs (``ResourceMonitorStub``, ``EngineStub``), so that
``pulumi.runtime.configure(Settings(monitor=…, engine=…))`` takes them, and no socket is involved.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import empty_pb2
from pulumi.runtime.proto import resource_pb2

from terrace.engine.action import Action
from terrace.engine.builtin import PACKAGE as BUILTIN
from terrace.engine.builtin import Builtin
from terrace.engine.errors import CancelledError, StepError, UnsupportedError, describe
from terrace.engine.executor import Executor
from terrace.engine.goal import Goal, default_provider, from_read, from_registration
from terrace.engine.planner import Planner
from terrace.engine.report import Report
from terrace.engine.snapshot import Snapshot
from terrace.engine.state import ROOT_TYPE, Resource, package_of
from terrace.engine.transforms import Transforms
from terrace.engine.unsupported import Unsupported
from terrace.engine.values import Unknown, contains, equal, from_wire, to_wire

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
)
_ResultCode: TypeAlias = resource_pb2.Result.ValueType
_OLD_FEATURE_NAMES = ("secrets", "resourceReferences", "deletedWith", "aliasSpecs", "transforms")


@dataclass(frozen=True)
class _Reached:
    """How a registration ended: the resource, the SDK's result code, whether it was left out as no target."""

    resource: Resource
    result: _ResultCode
    left_out: bool = False


class Monitor(Unsupported):
    """Receives what the program registers, plans it and has it carried out.

    Args:
        planner: Decides.
        executor: Does.
        snapshot: The state.
        report: Told what goes wrong.
        builtin: Answers for the package ``pulumi``.
        root: The project's folder, which source positions are relative to.
        config: The stack's configuration as the default provider's inputs, secrets marked.
        preview: Whether values may be unknown.
        continue_on_error: Go on with what doesn't depend on a failed resource.
    """

    def __init__(
        self,
        planner: Planner,
        executor: Executor,
        snapshot: Snapshot,
        report: Report,
        builtin: Builtin,
        *,
        root: Path,
        config: dict[str, Any],
        preview: bool,
        continue_on_error: bool,
    ) -> None:
        self._planner = planner
        self._executor = executor
        self._snapshot = snapshot
        self._report = report
        self._builtin = builtin
        self._transforms = Transforms()
        self._root = root
        self._config = config
        self._preview = preview
        self._continue = continue_on_error
        self._planning = threading.Lock()
        self._providing = threading.Lock()
        self._default_providers: dict[tuple[str, str], str] = {}
        self._goals: dict[str, Goal] = {}
        self._components: dict[str, Resource] = {}
        self._failed: set[str] = set()
        self.left: list[Resource] = []  # stored resources that stay as they are because something failed
        self.root_resource: Resource | None = None
        self.outputs: dict[str, Any] | None = None
        self.refusal: UnsupportedError | None = None

    # The methods below have the names and shapes of the gRPC stubs.

    def GetDeploymentInfo(self, _: Any) -> Any:  # noqa: N802
        """What this engine can do."""
        return resource_pb2.DeploymentInfo(supportedFeatures=_FEATURES)

    def SupportsFeature(self, request: Any) -> Any:  # noqa: N802
        """Whether this engine has a feature, by its older name."""
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in _OLD_FEATURE_NAMES)

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        """The program wants a resource to exist."""
        request = self._transforms.apply(request)
        try:
            goal = from_registration(request, self._root)
        except UnsupportedError as error:
            raise self.refused(error) from None
        self._inherit(goal)
        if goal.custom and not goal.is_provider:
            goal.provider = goal.provider or self._default_provider(package_of(goal.type), request.version)
        reached = self._reach(goal)
        self._transforms.remember(reached.resource.urn, request)
        outputs = reached.resource.outputs if goal.custom and reached.result == resource_pb2.SUCCESS else {}
        return resource_pb2.RegisterResourceResponse(
            urn=reached.resource.urn,
            id=reached.resource.id,
            object=to_wire(outputs, secrets=True),
            result=reached.result,
            unknown=reached.left_out,
        )

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802
        """A component, or the stack, is complete."""
        outputs = from_wire(request.outputs)
        if self.root_resource is not None and request.urn == self.root_resource.urn:
            self.outputs = outputs  # recorded at the end, when it is known whether all went well
        elif (resource := self._components.get(request.urn)) is not None and request.urn not in self._failed:
            self._record_outputs(resource, outputs)
        return empty_pb2.Empty()

    def ReadResource(self, request: Any) -> Any:  # noqa: N802
        """The program wants to see a resource that something else manages."""
        goal = from_read(request, self._root)
        goal.provider = goal.provider or self._default_provider(package_of(goal.type), request.version)
        reached = self._reach(goal)
        properties = to_wire(reached.resource.outputs, secrets=True)
        return resource_pb2.ReadResourceResponse(urn=reached.resource.urn, properties=properties, result=reached.result)

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """The program calls a function; those of provider plugins are refused."""
        if package_of(request.tok) != BUILTIN:
            raise self.unsupported(f"the function {request.tok}")
        arguments = from_wire(request.args)
        if contains(arguments, Unknown):
            return resource_pb2.ResourceInvokeResponse(unknown=True)
        try:
            found = self._builtin.invoke(request.tok, arguments)
        except UnsupportedError as error:
            raise self.refused(error) from None
        return resource_pb2.ResourceInvokeResponse(**{"return": to_wire(found, secrets=True)})

    def RegisterStackTransform(self, request: Any) -> Any:  # noqa: N802
        """The program wants to change everything that it registers from now on."""
        self._transforms.add_to_stack(request)
        return empty_pb2.Empty()

    def SignalAndWaitForShutdown(self, _: Any) -> Any:  # noqa: N802
        """The program has registered everything."""
        self._transforms.close()
        return empty_pb2.Empty()

    def finish(self, *, ok: bool) -> None:
        """Record the stack's outputs. When something failed, those that are missing keep their old values."""
        if self.root_resource is None or self.outputs is None:
            return
        outputs = self.outputs if ok else {**self.root_resource.outputs, **self.outputs}
        self._record_outputs(self.root_resource, outputs)

    def _record_outputs(self, resource: Resource, outputs: dict[str, Any]) -> None:
        if not equal(resource.outputs, outputs):
            resource.outputs = outputs
            self._snapshot.set(resource)

    def _reach(self, goal: Goal) -> _Reached:
        """Plan and carry out."""
        try:
            with self._planning:
                actions = self._plan(goal)
        except CancelledError:
            raise
        except UnsupportedError as error:
            raise self.refused(error) from None
        except Exception as error:  # a provider's check and diff can raise anything
            return self._fail_planning(goal, error)
        if actions is None:
            return _Reached(self._planner.named(goal), resource_pb2.FAIL)
        return self._carry_out(goal, actions)

    def _carry_out(self, goal: Goal, actions: list[Action]) -> _Reached:
        resource = next(action.new for action in reversed(actions) if action.new is not None)
        self._goals[resource.urn] = goal
        try:
            for action in actions:
                self._executor.run(action)
        except StepError:
            return self._fail(action.old, resource)
        finally:
            self._executor.settle(actions)
        if actions[0].op in ("import", "import-replacement"):
            return self._adopt(goal, resource)
        left_out = actions[-1].old is None and actions[-1].left_out
        if not goal.custom and not left_out:
            self._components[resource.urn] = resource
        if goal.type == ROOT_TYPE:
            self.root_resource = resource
        self._builtin.resources[resource.urn] = resource
        return _Reached(resource, resource_pb2.SUCCESS, left_out=left_out)

    def _adopt(self, goal: Goal, imported: Resource) -> _Reached:
        """Make a resource that was just imported what the program wants."""
        try:
            with self._planning:
                actions = self._planner.plan_imported(goal, imported)
        except Exception as error:
            return self._fail_planning(goal, error)
        self._builtin.resources[imported.urn] = imported
        return self._carry_out(goal, actions) if actions else _Reached(imported, resource_pb2.SUCCESS)

    def _plan(self, goal: Goal) -> list[Action] | None:
        """What to do for the goal; None if something that it needs failed."""
        if self._executor.stopped:
            raise CancelledError("the operation was stopped", where=goal.name)
        needs = {goal.parent, goal.deleted_with, goal.provider.rpartition("::")[0], *goal.dependencies}
        if needs & self._failed:
            self._failed.add(urn := self._planner.skip(goal))
            self._leave(self._planner.stored(urn))
            return None
        actions = self._planner.plan(goal)
        self._executor.expect(actions)
        return actions

    def _fail_planning(self, goal: Goal, error: Exception) -> _Reached:
        resource = self._planner.named(goal)
        stored = self._planner.stored(resource.urn)
        self._report.hide([goal.inputs, *([stored.inputs, stored.outputs] if stored and stored.custom else [])])
        self._report.say("error", resource.urn, self._report.fail(resource.urn, describe(error)))
        return self._fail(stored, resource)

    def _fail(self, old: Resource | None, resource: Resource) -> _Reached:
        self._leave(old)
        self._failed.add(resource.urn)
        if not self._continue:
            self._executor.stop()
            raise CancelledError("a resource failed", where=resource.urn)
        return _Reached(resource, resource_pb2.FAIL)

    def _leave(self, old: Resource | None) -> None:
        if old is not None:
            self.left.append(old)

    def _inherit(self, goal: Goal) -> None:
        parent = self._goals.get(goal.parent)
        if parent is None:
            return
        goal.deleted_with = goal.deleted_with or parent.deleted_with
        goal.protect = parent.protect if goal.protect is None else goal.protect
        goal.retain_on_delete = parent.retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete

    def _default_provider(self, package: str, version: str) -> str:
        """The reference of the package's default provider, which is registered at its first use."""
        with self._providing:
            key = (package, version)
            if key not in self._default_providers:
                resource = self._reach(default_provider(package, version, self._config)).resource
                self._default_providers[key] = f"{resource.urn}::{resource.id}"
            return self._default_providers[key]

    def refused(self, error: UnsupportedError) -> UnsupportedError:
        """Remember the first refusal, which ends the operation, and begin nothing any more."""
        self.refusal = self.refusal or error
        self._executor.stop()
        return error
