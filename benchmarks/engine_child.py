"""``python -m benchmarks.engine_child embedded|floor preview|up FOLDER``: one operation, in a process of its own.

``embedded`` is the embedded engine. ``floor`` is the Pulumi SDK alone: it runs the program against a monitor that does
nothing but remember what it was asked. An engine that runs programs by the SDK comes below that only where it spares
the SDK something, as this one does with thousands of resources (`terrace.engine.waiting`, and rarer collections).
"""

from __future__ import annotations

import asyncio
import os
import runpy
import sys
from pathlib import Path
from typing import Any

PROJECT, STACK, PASSPHRASE = "growth", "dev", "correct horse"


def embedded(operation: str, folder: Path) -> None:
    """Run an operation, and print a line per event, as a command line does."""
    from terrace.engine import Project, Stack

    stack = Stack(Project.load(folder), STACK, passphrase=lambda: PASSPHRASE)
    result = getattr(stack, operation)(on_event=lambda event: sys.stdout.write(f"{event}\n"))
    if not result.ok:
        raise RuntimeError(f"{operation} failed: {result.errors}")


def floor(operation: str, folder: Path) -> None:
    """Run the program with nobody behind the SDK."""
    import pulumi.runtime

    os.chdir(folder)
    sys.path.insert(0, str(folder))
    settings = pulumi.runtime.Settings(
        project=PROJECT,
        stack=STACK,
        monitor=_Monitor(),
        engine=_Engine(),
        dry_run=operation == "preview",
        organization="organization",
        root_directory=str(folder),
    )
    pulumi.runtime.configure(settings)

    def program() -> None:
        runpy.run_path(".", run_name="__main__")

    asyncio.new_event_loop().run_until_complete(pulumi.runtime.run_in_stack(program))


class _Monitor:
    """Remembers each request and answers at once. The methods are those of the SDK's gRPC stub."""

    def __init__(self) -> None:
        self._requests: list[Any] = []

    def GetDeploymentInfo(self, _: Any) -> Any:  # noqa: N802
        from pulumi.runtime.proto import resource_pb2

        return resource_pb2.DeploymentInfo(supportedFeatures=[resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS])

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802
        from pulumi.runtime.proto import resource_pb2

        self._requests.append(request)
        urn = f"urn:pulumi:{STACK}::{PROJECT}::{request.type}::{request.name}"
        return resource_pb2.RegisterResourceResponse(urn=urn, object=request.object)

    def RegisterResourceOutputs(self, _: Any) -> Any:  # noqa: N802
        from google.protobuf import empty_pb2

        return empty_pb2.Empty()

    SignalAndWaitForShutdown = RegisterResourceOutputs


class _Engine:
    """Likewise for what the program says."""

    def Log(self, _: Any) -> Any:  # noqa: N802
        from google.protobuf import empty_pb2

        return empty_pb2.Empty()

    def GetRootResource(self, _: Any) -> Any:  # noqa: N802
        from pulumi.runtime.proto import engine_pb2

        return engine_pb2.GetRootResourceResponse()

    def SetRootResource(self, _: Any) -> Any:  # noqa: N802
        from pulumi.runtime.proto import engine_pb2

        return engine_pb2.SetRootResourceResponse()


if __name__ == "__main__":
    {"embedded": embedded, "floor": floor}[sys.argv[1]](sys.argv[2], Path(sys.argv[3]))
