"""Runs the example project on a platform that is up, through its public addresses alone, as any project would."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from terrace.errors import InputError, OperationError
from terrace.pipelines import PipelineClient, PipelineDefinition, make_bundle

if TYPE_CHECKING:
    from components.pipelines.programs.contract.records import Run, StepRun

REPLAY_SECONDS = 900  # the first one installs the project's environment
ERROR_LINES = 20


@dataclass(frozen=True)
class Project:
    """A user's project on the platform.

    Attributes:
        folder: Where its ``pipeline.yaml`` stands.
        connection: The variables of the stack output ``connection``, secrets shown.
    """

    folder: Path
    connection: Mapping[str, str]

    def run_pipeline(self, on_step: Callable[[StepRun], None]) -> Run:
        """Send the project and run its pipeline to the end; a run that is going on already is joined.

        Args:
            on_step: Told each step whenever its state has changed.

        Raises:
            OperationError: The service refused, or the run failed; with the last lines of the failed step's log.
        """
        name = PipelineDefinition.load(self.folder).name
        client = self._client()
        bundle = make_bundle(self.folder)
        client.put(name, bundle)
        going_on = next((run for run in client.runs(name) if not run.ended), None)
        if going_on and going_on.digest != bundle.digest:
            client.wait(going_on.id)
            going_on = None
        run = client.wait((going_on or client.start(name)).id, on_step)
        client.check(run)
        return run

    def replay(self, root: Path) -> dict[str, Any]:
        """Ask the platform for predictions of later months and return how good and how fast they are.

        Args:
            root: Terrace's own folder, which may hold ``uv``.

        Raises:
            OperationError: The project's command failed; with what it said.
        """
        command = [find_uv(root), "run", "--frozen", "--project", ".", "flights", "replay", "--json"]
        inherited = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        try:
            done = subprocess.run(
                command,
                cwd=self.folder,
                env={**inherited, **self.connection},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                timeout=REPLAY_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise OperationError(f"no result after {REPLAY_SECONDS} s", where="flights replay") from None
        if done.returncode != 0:
            said = "\n".join(self._without_secrets(done.stderr).strip().splitlines()[-ERROR_LINES:])
            raise OperationError("the predictions could not be replayed", where="flights replay", why=said)
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def _client(self) -> PipelineClient:
        connection = self.connection
        missing = [name for name in ("PIPELINES_URL", "PIPELINES_USER", "PIPELINES_PASSWORD") if name not in connection]
        if missing:
            raise InputError(
                "the platform has no pipelines service",
                where="the demo",
                why=f"its connection lacks {', '.join(missing)}",
                fix="raise the tier to 3, or add the slot `pipelines`",
            )
        ca_file = connection.get("TERRACE_CA_FILE")
        return PipelineClient(
            connection["PIPELINES_URL"],
            connection["PIPELINES_USER"],
            connection["PIPELINES_PASSWORD"],
            Path(ca_file) if ca_file else None,
        )

    def _without_secrets(self, text: str) -> str:
        for name, value in self.connection.items():
            if "PASSWORD" in name and value:
                text = text.replace(value, "[secret]")
        return text


def find_uv(root: Path) -> str:
    """Return the program ``uv``, the machine's or the one that make installs into ``root``.

    Raises:
        OperationError: There is none.
    """
    private = root / ".uv" / "bin" / "uv"
    found = shutil.which("uv") or (str(private) if private.is_file() else None)
    if found is None:
        raise OperationError("uv is not installed", where=str(root), fix="run make once, which installs it into .uv/")
    return found
