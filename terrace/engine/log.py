"""The engine that the Pulumi SDK sends the program's messages to, as an object in this process."""

from __future__ import annotations

from typing import Any

from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2

from terrace.engine.errors import UnsupportedError
from terrace.engine.model import Severity
from terrace.engine.report import Report

_SEVERITIES: dict[int, Severity] = {
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}


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
