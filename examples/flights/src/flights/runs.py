"""A run of the pipeline: its folder, in which the steps leave files for each other, and its name and commit."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from flights.errors import FlightsError, SettingsError

PIPELINE = Path("pipeline.yaml")
RUNS = Path(".runs")


@dataclass(frozen=True)
class Run:
    """What the platform says of the run that a step is part of."""

    folder: Path
    id: str
    pipeline: str
    commit: str

    @classmethod
    def from_environment(cls) -> Run:
        """Read ``PIPELINE_*``.

        Raises:
            SettingsError: The step was started outside a run.
        """
        folder = os.environ.get("PIPELINE_RUN_DIR", "")
        if not folder or not Path(folder).is_dir():
            raise SettingsError(
                f"PIPELINE_RUN_DIR is {folder!r}, not a folder",
                where="environment",
                why="the steps of a run share the folder that it names",
                fix="start the steps with: flights run (or by the platform's pipeline service)",
            )
        values = (os.environ.get(f"PIPELINE_{name}", "unknown") for name in ("RUN_ID", "NAME", "COMMIT"))
        return cls(Path(folder), *values)

    @property
    def data(self) -> Path:
        """The folder of the raw tables."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """The folder of what the steps have printed."""
        return self.folder / "logs"

    def write(self, name: str, content: dict[str, Any]) -> Path:
        """Leave ``<name>.json`` for later steps."""
        path = self.folder / f"{name}.json"
        path.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return path

    def read(self, name: str) -> dict[str, Any]:
        """Return what an earlier step left.

        Raises:
            FlightsError: That step hasn't run in this run.
        """
        path = self.file(f"{name}.json")
        return dict(json.loads(path.read_text(encoding="utf-8")))

    def file(self, name: str) -> Path:
        """Return the path of a file that an earlier step left.

        Raises:
            FlightsError: It isn't there.
        """
        path = self.folder / name
        if not path.is_file():
            raise FlightsError(
                f"{name} isn't there", where=str(self.folder), fix="run the earlier steps in this run first"
            )
        return path


def load_steps(path: Path = PIPELINE) -> tuple[str, list[dict[str, Any]]]:
    """Return the pipeline's name and its steps.

    Raises:
        SettingsError: The file isn't there or isn't a pipeline.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return str(content["name"]), list(content["steps"])
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        raise SettingsError(
            "is not a pipeline", where=str(path), why=repr(error), fix="run the command in the project's folder"
        ) from error


def run_locally(say: Any) -> Path:
    """Run all the steps as the platform would: in order, with retries and time limits, in a new run folder.

    Args:
        say: Called with each line of progress.

    Raises:
        FlightsError: A step failed after its retries; the later ones were not run.
        SettingsError: A step's command cannot be started.
    """
    name, steps = load_steps()
    run_id = datetime.now(tz=UTC).strftime("%Y%m%dT%H%M%S")
    folder = (RUNS / run_id).resolve()
    folder.mkdir(parents=True)
    environment = {
        **os.environ,
        "PIPELINE_RUN_DIR": str(folder),
        "PIPELINE_RUN_ID": run_id,
        "PIPELINE_NAME": name,
        "PIPELINE_COMMIT": _commit(),
    }
    for step in steps:
        begun = time.monotonic()
        _run_step(step, environment, say)
        say(f"{step['name']}: done in {time.monotonic() - begun:.1f} s")
    return folder


def _run_step(step: dict[str, Any], environment: dict[str, str], say: Any) -> None:
    attempts = 1 + int(step.get("retries", 0))
    why = ""
    for attempt in range(1, attempts + 1):
        try:
            code = _exit_code(step["command"], environment, step.get("timeout"))
        except subprocess.TimeoutExpired:
            why = f"no end within {step['timeout']} s"
        except OSError as error:
            raise SettingsError(
                "the command cannot be started",
                where=step["name"],
                why=str(error),
                fix="install it, or mend the pipeline",
            ) from error
        else:
            if code == 0:
                return
            why = f"exit code {code}"
            if code == SettingsError.exit_code:
                break
        say(f"{step['name']}: attempt {attempt} of {attempts} failed: {why}")
    raise FlightsError("the step failed", where=step["name"], why=why, fix="see its output above")


def _exit_code(command: list[str], environment: dict[str, str], seconds: float | None) -> int:
    """Run a command; when its time is over, end it and all that it started; hand Ctrl-C on, which it may tidy up after.

    Raises:
        OSError: It cannot be started.
        subprocess.TimeoutExpired: Its time was over.
    """
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            return process.wait(seconds)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGKILL)
            raise


def _commit() -> str:
    """Return the commit that is checked out, with ``-dirty`` when the project's files differ from it."""
    try:
        head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True)
        changes = subprocess.run(["git", "status", "--porcelain", "."], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")
