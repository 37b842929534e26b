"""The resource monitor and engine that the Pulumi SDK talks to, as objects in this process.

They have the methods of the SDK's gRPC stubs (``ResourceMonitorStub``, ``EngineStub``), so that
``pulumi.runtime.configure(Settings(monitor=…, engine=…))`` takes them, and no socket is involved.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, TypeAlias

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from terrace.engine.errors import CancelledError, StepError, UnsupportedError
from terrace.engine.executor import Executor, describe
from terrace.engine.goal import Goal, from_read, from_registration
from terrace.engine.model import Severity
from terrace.engine.planner import Action, Planner
from terrace.engine.report import Report
from terrace.engine.snapshot import Snapshot
from terrace.engine.state import PROVIDER_PREFIX, ROOT_TYPE, Resource
from terrace.engine.values import equal, from_wire, to_wire

_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
)
_ResultCode: TypeAlias = resource_pb2.Result.ValueType
_OLD_FEATURE_NAMES = ("secrets", "resourceReferences", "deletedWith", "aliasSpecs")
_SEVERITIES: dict[int, Severity] = {
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


class Monitor:
    """Receives what the program registers, plans it and has it carried out.

    Args:
        planner: Decides.
        executor: Does.
        snapshot: The state.
        report: Told what goes wrong.
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
        self.failed: list[Resource] = []
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
        try:
            goal = from_registration(request, self._root)
        except UnsupportedError as error:
            raise self._refused(error) from None
        self._inherit(goal)
        if goal.custom and not goal.is_provider:
            goal.provider = goal.provider or self._default_provider(goal.package, request.version)
        resource, result = self._reach(goal)
        outputs = resource.outputs if goal.custom and result == resource_pb2.SUCCESS else {}
        return resource_pb2.RegisterResourceResponse(
            urn=resource.urn, id=resource.id, object=to_wire(outputs, secrets=True), result=result
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
        goal.provider = goal.provider or self._default_provider(goal.package, request.version)
        resource, result = self._reach(goal)
        if result != resource_pb2.SUCCESS:
            raise StepError("it can't be read", where=resource.urn)
        return resource_pb2.ReadResourceResponse(urn=resource.urn, properties=to_wire(resource.outputs, secrets=True))

    def Invoke(self, request: Any) -> Any:  # noqa: N802
        """Refused: functions live in provider plugins."""
        raise self._unsupported(f"the function {request.tok}")

    def Call(self, request: Any) -> Any:  # noqa: N802
        """Refused: methods live in provider plugins."""
        raise self._unsupported(f"the method {request.tok}")

    def ExistsResource(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self._unsupported(f"asking whether {request.type} {request.id} exists")

    def RegisterPackage(self, request: Any) -> Any:  # noqa: N802
        """Refused: packages are provider plugins."""
        raise self._unsupported(f"the package {request.name}")

    def RegisterStackTransform(self, _: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self._unsupported("a transform")

    def RegisterStackInvokeTransform(self, _: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self._unsupported("a transform")

    def RegisterResourceHook(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self._unsupported(f"the resource hook {request.name}")

    def RegisterErrorHook(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self._unsupported(f"the error hook {request.name}")

    def SignalAndWaitForShutdown(self, _: Any) -> Any:  # noqa: N802
        """The program has registered everything."""
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

    def _reach(self, goal: Goal) -> tuple[Resource, _ResultCode]:
        """Plan and carry out; returns the resource and the SDK's result code."""
        try:
            with self._planning:
                actions = self._plan(goal)
        except UnsupportedError as error:
            raise self._refused(error) from None
        except CancelledError:
            raise
        except Exception as error:  # a provider's check and diff can raise anything
            return self._fail_planning(goal, error)
        if actions is None:
            return self._planner.named(goal), resource_pb2.FAIL
        resource = next(action.new for action in reversed(actions) if action.new is not None)
        self._goals[resource.urn] = goal
        for action in actions:
            try:
                self._executor.run(action)
            except StepError:
                return self._fail(action.resource, resource)
        if not goal.custom:
            self._components[resource.urn] = resource
        if goal.type == ROOT_TYPE:
            self.root_resource = resource
        return resource, resource_pb2.SUCCESS

    def _plan(self, goal: Goal) -> list[Action] | None:
        """What to do for the goal; None if something that it needs failed."""
        if self._executor.stopped:
            raise CancelledError("the operation was stopped", where=goal.name)
        needs = {goal.parent, goal.deleted_with, goal.provider.rpartition("::")[0], *goal.dependencies}
        if needs & self._failed:
            self._failed.add(self._planner.skip(goal))
            return None
        return self._planner.plan(goal)

    def _fail_planning(self, goal: Goal, error: Exception) -> tuple[Resource, _ResultCode]:
        resource = self._planner.named(goal)
        self._report.hide(goal.inputs)
        self._report.say("error", resource.urn, self._report.fail(resource.urn, describe(error)))
        return self._fail(resource, resource)

    def _fail(self, failed: Resource, resource: Resource) -> tuple[Resource, _ResultCode]:
        self.failed.append(failed)
        self._failed.add(resource.urn)
        if not self._continue:
            self._executor.stop()
            raise CancelledError("a resource failed", where=resource.urn)
        return resource, resource_pb2.FAIL

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
                suffix = "_" + version.replace(".", "_") if version else ""
                inputs = dict(self._config) if package == "pulumi-python" else self._package_config(package)
                if version:
                    inputs["version"] = version
                goal = Goal(type=PROVIDER_PREFIX + package, name=f"default{suffix}", custom=True, inputs=inputs)
                resource, _ = self._reach(goal)
                self._default_providers[key] = f"{resource.urn}::{resource.id}"
            return self._default_providers[key]

    def _package_config(self, package: str) -> dict[str, Any]:
        prefix = f"{package}:"
        return {key.removeprefix(prefix): value for key, value in self._config.items() if key.startswith(prefix)}

    def _unsupported(self, what: str) -> UnsupportedError:
        return self._refused(
            UnsupportedError(f"{what} isn't supported by the embedded engine", fix="use --engine pulumi")
        )

    def _refused(self, error: UnsupportedError) -> UnsupportedError:
        """Remember the first refusal, which ends the operation, and begin nothing any more."""
        self.refusal = self.refusal or error
        self._executor.stop()
        return error


class EngineLog:
    """The engine's side of the program's messages."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self._root = ""

    def Log(self, request: Any) -> Any:  # noqa: N802
        """A message of the program."""
        if (severity := _SEVERITIES.get(request.severity)) is not None and request.message:
            self._report.say(severity, request.urn, request.message)
        return empty_pb2.Empty()

    def GetRootResource(self, _: Any) -> Any:  # noqa: N802
        """The stack's URN."""
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any) -> Any:  # noqa: N802
        """The stack's URN is known."""
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

    def RequirePulumiVersion(self, request: Any) -> Any:  # noqa: N802
        """Refused: this isn't the Pulumi CLI, so a range of its versions says nothing."""
        raise UnsupportedError(
            f"the program requires the Pulumi CLI {request.pulumi_version_range}", fix="use --engine pulumi"
        )
