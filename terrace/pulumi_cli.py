"""Runs a stack's operations on the Pulumi CLI, with the same inputs and results as the embedded engine."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine.judge import Judge, everything
from terrace.engine.model import Diagnostic, Event, OnEvent, ResourceError, Result
from terrace.engine.options import PARALLEL, Options
from terrace.engine.passphrase import Passphrase
from terrace.engine.project import Project
from terrace.errors import InputError, OperationError
from terrace.pulumi_events import Reader

INSTALL = "install it as https://www.pulumi.com/docs/install/ says, or use `--engine embedded`"
_CHANGING = ("--yes", "--skip-preview")
DEFAULTS = Options()


def _ignore(_event: Event) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class PulumiStack:
    """A stack that the Pulumi CLI operates.

    Attributes:
        project: The project, with the backend that the CLI is told to use.
        name: The stack's name.
        passphrase: Gives what opens its secrets; handed to the CLI by the name of its file, or left in the variable
            that it came from.
        judge: Looks at all resources that the program asks for, before the CLI is called. An error that it returns
            refuses a preview and an update.
    """

    project: Project
    name: str
    passphrase: Callable[[], Passphrase]
    judge: Judge | None = None

    def preview(self, *, on_event: OnEvent | None = None, options: Options = DEFAULTS) -> Result:
        """Find out what would change."""
        return self._judged(["preview", *_flags(options)], on_event or _ignore)

    def up(self, *, on_event: OnEvent | None = None, options: Options = DEFAULTS) -> Result:
        """Make it so."""
        return self._judged(["up", *_CHANGING, *_flags(options)], on_event or _ignore)

    def refresh(self, *, on_event: OnEvent | None = None, options: Options = DEFAULTS) -> Result:
        """Bring the state in line with what is really there."""
        return self._operate(["refresh", *_CHANGING, *_flags(options)], on_event or _ignore)

    def destroy(self, *, on_event: OnEvent | None = None, options: Options = DEFAULTS) -> Result:
        """Remove everything that the state lists."""
        return self._operate(["destroy", *_CHANGING, *_flags(options)], on_event or _ignore)

    def import_(self, *, on_event: OnEvent | None = None, options: Options = DEFAULTS) -> Result:
        """Take what ``options.imports`` names, one thing, into the stack."""
        (wanted,) = options.imports
        flags = ["--generate-code=false", f"--protect={str(wanted.protect).lower()}"]
        flags += [f"--parent=parent={wanted.parent}"] if wanted.parent else []
        flags += [f"--provider=provider={wanted.provider}"] if wanted.provider else []
        words = ["import", wanted.type, wanted.name, wanted.id, *flags, *_CHANGING]
        return self._operate(words, on_event or _ignore)

    def cancel(self) -> None:
        """Take back the lock of an operation that died.

        Raises:
            OperationError: The CLI refused.
        """
        self._ask("cancel", "--yes")

    def outputs(self, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs; secrets read ``[secret]`` unless they are asked for.

        Raises:
            OperationError: The CLI refused.
        """
        if not self._exists():
            return {}
        outputs: dict[str, Any] = json.loads(
            self._ask("stack", "output", "--json", *(["--show-secrets"] if show_secrets else []))
        )
        return outputs

    def _judged(self, arguments: list[str], on_event: OnEvent) -> Result:
        """Have the CLI operate, unless the judge refuses what it would make.

        Raises:
            StateError: What it would make can't be told.
        """
        if self.judge is None:
            return self._operate(arguments, on_event)
        said = tuple(self.judge(everything(self.project, self.name, None)))
        for each in said:
            on_event(each)
        refused = tuple(ResourceError(each.urn, each.message) for each in said if each.severity == "error")
        if refused:
            return Result(ok=False, steps=(), summary={}, outputs={}, errors=refused, judged=said)
        return dataclasses.replace(self._operate(arguments, on_event), judged=said)

    def _operate(self, arguments: list[str], on_event: OnEvent) -> Result:
        if not self._exists():
            self._ask("stack", "init", "--no-select", "--secrets-provider", "passphrase", stack=True)
        reader = Reader(on_event)
        command = [_executable(), *arguments, "--json", "--color", "never", "--stack", self.name]
        # A session of its own: a Ctrl-C of the terminal reaches the CLI by us alone, never its providers.
        with subprocess.Popen(
            command,
            cwd=self.project.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            complaint = _Collector(process)
            interrupted = self._follow(process, reader, on_event)
        return reader.result(ok=process.returncode == 0, interrupted=interrupted, complaint=complaint.text())

    def _follow(self, process: subprocess.Popen[str], reader: Reader, on_event: OnEvent) -> bool:
        """Read events until the CLI ends; return whether it was interrupted."""
        assert process.stdout is not None  # noqa: S101 - it was started with a pipe
        interrupted = False
        while True:
            try:
                reader.read(process.stdout)
                process.wait()
            except KeyboardInterrupt:
                if not interrupted:
                    on_event(Diagnostic("warning", "", "waiting for running steps to end; again to stop at once"))
                interrupted = True
                process.send_signal(signal.SIGINT)
                continue
            return interrupted

    def _exists(self) -> bool:
        listed = json.loads(self._ask("stack", "ls", "--json", "--project", self.project.name, stack=False))
        return any(entry["name"].rpartition("/")[2] == self.name for entry in listed)

    def _ask(self, *arguments: str, stack: bool = True) -> str:
        command = [_executable(), *arguments, *(["--stack", self.name] if stack else []), "--non-interactive"]
        done = subprocess.run(
            command,
            cwd=self.project.root,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise OperationError(
                f"`pulumi {' '.join(arguments)}` failed",
                where=f"stack {self.name}",
                why=done.stderr.strip().removeprefix("error: "),
            )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        environment = {
            **os.environ,
            # Some builds of the CLI take ~ from the password database and not from HOME.
            "PULUMI_BACKEND_URL": re.sub(r"^file://~(?=/|$)", f"file://{Path.home()}", self.project.backend_url),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
            # The provider server of dynamic resources looks for it in the program's folder otherwise.
            "PULUMI_RUNTIME_VIRTUALENV": str(self.project.root / ".venv"),
            "PATH": os.pathsep.join([os.environ.get("PATH", os.defpath), str(self.project.root / ".uv" / "bin")]),
        }
        if "PULUMI_CONFIG_PASSPHRASE" not in environment:
            environment["PULUMI_CONFIG_PASSPHRASE_FILE"] = self.passphrase().source
        return environment


class _Collector:
    """Reads the CLI's standard error beside its standard output, so that neither pipe fills up."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._collect, args=(process,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        self._thread.join()
        return "".join(self._lines).strip().removeprefix("error: ")

    def _collect(self, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None  # noqa: S101 - it was started with a pipe
        with contextlib.suppress(ValueError):  # the pipe was closed
            self._lines.extend(process.stderr)


def _flags(options: Options) -> list[str]:
    flags = [] if options.parallel == PARALLEL else [f"--parallel={options.parallel}"]  # the CLI has its own default
    flags += [f"--target={urn}" for urn in options.targets]
    flags += [f"--replace={urn}" for urn in options.replace]
    wanted = {
        "--target-dependents": options.target_dependents,
        "--refresh": options.refresh,
        "--continue-on-error": options.continue_on_error,
    }
    return flags + [flag for flag, is_wanted in wanted.items() if is_wanted]


def _executable() -> str:
    found = shutil.which("pulumi")
    if found is None:
        raise InputError("the Pulumi CLI is not installed", where="--engine pulumi", fix=INSTALL)
    return found
