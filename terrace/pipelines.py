"""Sending pipelines to the platform and running them there, as any user's project would.

definition = PipelineDefinition.load(folder)
client = PipelineClient(url, user, password, ca_file)
client.put(definition.name, make_bundle(folder))
run = client.wait(client.start(definition.name).id, on_step=print)
"""

from __future__ import annotations

import codecs
import http.client
import json
import time
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from components.pipelines.programs.contract import definition as contract
from components.pipelines.programs.contract.records import PipelineStatus, Run, StepRun
from terrace.errors import InputError, InputErrors, Location, OperationError
from terrace.pipeline_bundle import Bundle, make_bundle
from terrace.web import Answer, Client

__all__ = [
    "Bundle",
    "PipelineClient",
    "PipelineDefinition",
    "PipelineStatus",
    "PipelinesError",
    "Run",
    "StepRun",
    "make_bundle",
]

# How long the service may be away (restarted, say) while a run is waited for (seconds).
PATIENCE_SECONDS = 60.0
TRANSIENT = frozenset({0, 502, 503, 504})
SHOWN_LINES = 20


class PipelineDefinition(contract.PipelineDefinition):
    """The typed content of a project's ``pipeline.yaml``."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``pipeline.yaml`` in ``folder``.

        Raises:
            InputError: There is none.
            InputErrors: It is wrong; all its errors at once, with their places.
        """
        path = folder / contract.FILE_NAME
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise InputError(
                f"There is no {contract.FILE_NAME}",
                where=str(folder),
                fix="Describe the pipeline there, as examples/flights does.",
            ) from None
        except UnicodeDecodeError as error:
            raise InputError("This is not UTF-8 text", where=str(path), why=str(error)) from None
        except contract.DefinitionError as error:
            raise InputErrors(
                [
                    InputError(each.message, where=Location(str(path), each.line, each.column), fix=each.fix or None)
                    for each in error.problems
                ]
            ) from None


class PipelinesError(OperationError):
    """The pipelines service refused, or could not be reached (``status`` 0)."""

    def __init__(self, status: int, what: str, **details: str | None) -> None:
        super().__init__(what, **details)
        self.status = status


class PipelineClient:
    """The pipelines service, over HTTP.

    Args:
        base_url: Its address.
        user: The account's name.
        password: The account's password.
        ca_file: The certificate of the CA that signed the service's; the system's CAs when absent.

    Raises:
        InputError: ``base_url`` is not an HTTP address.
        OperationError: The certificate can't be read.
    """

    def __init__(self, base_url: str, user: str, password: str, ca_file: Path | None = None) -> None:
        self._base = base_url.rstrip("/")
        self._client = Client(base_url, user, password, ca_file)

    def pipelines(self) -> list[PipelineStatus]:
        """Return all pipelines as they stand."""
        return [PipelineStatus.model_validate(each) for each in self._json("GET", "/api/pipelines")["pipelines"]]

    def put(self, name: str, bundle: Bundle) -> bool:
        """Send ``bundle`` as pipeline ``name`` and tell whether that changed anything.

        Raises:
            PipelinesError: It is refused, or the service can't be reached.
        """
        headers = {"Content-Type": "application/gzip", "X-Pipeline-Commit": bundle.commit}
        answer = self._json("PUT", f"/api/pipelines/{_quote(name)}", bundle.content, headers)
        if answer["digest"] != bundle.digest:
            raise PipelinesError(200, "The bundle arrived damaged", where=self._base, fix="Send it again.")
        return bool(answer["changed"])

    def delete(self, name: str) -> None:
        """Remove pipeline ``name`` with its runs."""
        self._request("DELETE", f"/api/pipelines/{_quote(name)}")

    def start(self, name: str) -> Run:
        """Start a run of pipeline ``name``; refused while one is going on."""
        return Run.model_validate(self._json("POST", f"/api/pipelines/{_quote(name)}/runs"))

    def cancel(self, run_id: str) -> Run:
        """Ask a run to stop."""
        return Run.model_validate(self._json("POST", f"/api/runs/{_quote(run_id)}/cancel"))

    def run(self, run_id: str) -> Run:
        """Return a run as it stands."""
        return Run.model_validate(self._json("GET", f"/api/runs/{_quote(run_id)}"))

    def runs(self, pipeline: str | None = None) -> list[Run]:
        """Return the kept runs (of ``pipeline``), the newest first."""
        query = f"?pipeline={_quote(pipeline)}" if pipeline else ""
        return [Run.model_validate(each) for each in self._json("GET", f"/api/runs{query}")["runs"]]

    def log(self, run_id: str, step: str | None, offset: int = 0) -> bytes:
        """Return the log of ``step`` (None: of making the environment) from ``offset`` (bytes) on, at most 1 MiB."""
        query = {"offset": str(offset)} | ({"step": step} if step else {})
        return self._request("GET", f"/api/runs/{_quote(run_id)}/log?{urllib.parse.urlencode(query)}")

    def wait(
        self,
        run_id: str,
        on_step: Callable[[StepRun], None] = lambda _: None,
        on_log: Callable[[str | None, str], None] | None = None,
        poll_seconds: float = 0.5,
    ) -> Run:
        """Wait for a run's end and return it, whichever its end is; see :meth:`check`.

        Args:
            run_id: The run.
            on_step: Told each step whenever its state or its attempt has changed.
            on_log: Told each new piece of a step's log (None: of making the environment), before the step's end.
            poll_seconds: How often the service is asked.

        Raises:
            PipelinesError: The service is away for longer than a minute, or no longer knows the run.
        """
        follower = _Follower(self, run_id, on_log) if on_log else None
        seen: dict[str, tuple[str, int]] = {}
        answered = time.monotonic()
        while True:
            try:
                run = self.run(run_id)
                if follower:
                    follower.read(run)
                answered = time.monotonic()
            except PipelinesError as error:
                if error.status not in TRANSIENT or time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
            else:
                for step in run.steps:
                    if step.state != "waiting" and seen.get(step.name) != (step.state, step.attempts):
                        seen[step.name] = (step.state, step.attempts)
                        on_step(step)
                if run.ended:
                    return run
            time.sleep(poll_seconds)

    def check(self, run: Run) -> None:
        """Do nothing for a run that succeeded.

        Raises:
            OperationError: It ended otherwise; the failed step's last lines are part of the message.
        """
        if run.state == "succeeded":
            return
        failed = next((step for step in run.steps if step.state in {"failed", "lost", "cancelled"}), None)
        lines = self._whole_log(run.id, failed.name if failed else None).splitlines()[-SHOWN_LINES:]
        raise OperationError(
            f"Run {run.id} did not succeed ({run.state}): {run.error}",
            where=self._base,
            why="\n    ".join(["the last lines of its log:", *lines]) if lines else None,
            fix="Correct the cause and run the pipeline again.",
        )

    def _whole_log(self, run_id: str, step: str | None) -> str:
        whole = b""
        while piece := self.log(run_id, step, len(whole)):
            whole += piece
        return whole.decode(errors="replace")

    def _json(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._request(method, path, body, headers))
        return answer

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> bytes:
        try:
            answer = self._client.send(method, path, body, headers or {})
        except OperationError as error:
            what = "The pipelines service can't be reached"
            raise PipelinesError(0, what, where=self._base + path, why=error.why, fix="See 'terrace status'.") from None
        if answer.status >= http.client.BAD_REQUEST:
            raise _refusal(answer)
        return answer.content


class _Follower:
    """Reads the logs of a run as they grow."""

    def __init__(self, client: PipelineClient, run_id: str, told: Callable[[str | None, str], None]) -> None:
        self._client = client
        self._run_id = run_id
        self._told = told
        self._offsets: dict[str | None, int] = {}
        self._whole: set[str | None] = set()
        # A character of several bytes may be cut where one answer ends.
        self._decoders: dict[str | None, codecs.IncrementalDecoder] = {}

    def read(self, run: Run) -> None:
        """Tell what is new in the logs of ``run``, the environment's first."""
        growing: set[str | None] = {step.name for step in run.steps if step.state == "running"}
        if run.state in {"queued", "preparing"}:
            growing.add(None)
        for step in (None, *(step.name for step in run.steps if step.attempts)):
            if step in self._whole:
                continue
            decoder = self._decoders.setdefault(step, codecs.getincrementaldecoder("utf-8")("replace"))
            while piece := self._client.log(self._run_id, step, self._offsets.get(step, 0)):
                self._offsets[step] = self._offsets.get(step, 0) + len(piece)
                self._told(step, decoder.decode(piece))
            if step not in growing:
                self._whole.add(step)


def _refusal(answer: Answer) -> PipelinesError:
    try:
        told = json.loads(answer.content)["error"]
        return PipelinesError(
            answer.status, told["what"], where=answer.url, why=told.get("why") or None, fix=told.get("fix") or None
        )
    except (ValueError, KeyError, TypeError):
        # Not the service's own answer: the gateway's, say.
        what = f"The pipelines service answers {answer.status} {answer.reason}"
        return PipelinesError(answer.status, what, where=answer.url)


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")
