"""A project in a temporary folder that either engine can run, and what there is to compare afterwards."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from terrace.engine import OnEvent, Options, Project, Result, Stack
from terrace.engine.secrets import Crypter
from terrace.engine.state import is_default_provider
from terrace.engine.values import SECRET, SIGNATURE
from tests.engine.engine_cases import PROGRAMS, Do

STACKS = ("dev", "other")
REPOSITORY = Path(__file__).parents[2]
PASSPHRASE = "correct horse"
# A salt of that passphrase, fixed so that recorded programs have a stack file to begin with.
SALT = "v1:unRlJG25QHI=:v1:pcqaVteNBzKNbMkL:AXGPayIVIo4hHS8Yec91tkP+rUtp4A=="
_ENGINES_OWN = ("created", "modified", "sourcePosition", "stackTrace")


@dataclass
class World:
    """A project with the stack ``dev`` (and ``other``, for references), whose resources are files in ``things``."""

    root: Path
    program: str

    def __post_init__(self) -> None:
        (self.root / "things").mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROGRAMS / "recorder.py", self.root / "recorder.py")
        shutil.copyfile(PROGRAMS / f"{self.program}.py", self.root / "__main__.py")
        self.write_project("{name: python}")
        self._enter()

    def _enter(self) -> None:
        """Have programs and their providers work in this world; there may be another."""
        os.environ["WORLD"] = str(self.root / "things")
        os.environ["CALLS"] = str(self.root / "calls")
        os.environ["PULUMI_CONFIG_PASSPHRASE"] = PASSPHRASE

    def write(self, program: str) -> None:
        """Make this text the program, with everything of ``recorder`` imported."""
        text = f"import pulumi\nfrom recorder import *\nfrom recorder import stage\n{textwrap.dedent(program)}"
        (self.root / "__main__.py").write_text(text, encoding="utf-8")
        # Python tells a changed file by its size and the second of its change.
        shutil.rmtree(self.root / "__pycache__", ignore_errors=True)

    def write_project(self, runtime: str) -> None:
        (self.root / "Pulumi.yaml").write_text(
            f"name: parity\nruntime: {runtime}\nbackend:\n  url: file://{self.root}\n", encoding="utf-8"
        )

    @property
    def checkpoint(self) -> Path:
        return self.checkpoint_of("dev")

    def checkpoint_of(self, stack: str) -> Path:
        return self.root / f".pulumi/stacks/parity/{stack}.json"

    def stack(self, name: str = "dev", passphrase: str = PASSPHRASE) -> Stack:
        return Stack(Project.load(self.root), name, passphrase=lambda: passphrase)

    def set_stage(self, stage: int) -> None:
        seal = Crypter(SALT, lambda: PASSPHRASE, "test").encrypt
        config = {
            "parity:stage": stage,
            "parity:password": {"secure": seal("hunter22")},
            "parity:object": {"a": [1, {"b": True}], "text": "<x>"},
            "parity:secrets": {"user": "me", "key": {"secure": seal("s3cr3t-key")}},
            "parity:number": 1.5,
            "parity:flag": True,
            "other:key": "v",
        }
        document = {"encryptionsalt": SALT, "config": config}
        for stack in STACKS:
            (self.root / f"Pulumi.{stack}.yaml").write_text(json.dumps(document), encoding="utf-8")  # JSON is YAML

    def run(self, operation: str, stage: int, *, on_event: OnEvent | None = None, **options: Any) -> Result:
        """Run an operation on the embedded engine; ``options`` are those of `Options`."""
        self.set_stage(stage)
        result: Result = getattr(self.stack(), operation)(
            on_event=on_event, options=Options(**{"parallel": 4, **options})
        )
        return result

    def process(self, operation: str, stage: int, **environment: str) -> subprocess.Popen[str]:
        """The same in a process of its own, which can be killed. Prints whether the user stopped it."""
        self.set_stage(stage)
        code = (
            "import sys; from pathlib import Path; from tests.engine.engine_world import PASSPHRASE\n"
            "from terrace.engine import Project, Stack\n"
            "stack = Stack(Project.load(Path(sys.argv[1])), 'dev', passphrase=lambda: PASSPHRASE)\n"
            "print(getattr(stack, sys.argv[2])().interrupted)"
        )
        return subprocess.Popen(
            [sys.executable, "-c", code, str(self.root), operation],
            cwd=REPOSITORY,
            env={**os.environ, **environment},
            # A job in the background ignores Ctrl-C, and so would this process.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def embedded(self, do: Do) -> dict[str, Any]:
        """Run an operation on the embedded engine; returns what there is to compare."""
        self._enter()
        (self.root / "calls").write_text("", encoding="utf-8")
        if do.operation == "drift":
            self.drift()
            return {}
        self.set_stage(do.stage)
        options = Options(parallel=1, **self._with_urns(do))
        result: Result = getattr(self.stack(do.stack), do.operation)(options=options)
        return self._outcome(do.stack, result.ok, [(step.urn, step.op) for step in result.steps], result.summary)

    def pulumi(self, do: Do) -> dict[str, Any]:
        """The same with the Pulumi CLI."""
        self._enter()
        (self.root / "calls").write_text("", encoding="utf-8")
        if do.operation == "drift":
            self.drift()
            return {}
        self.set_stage(do.stage)
        log = self.root / "events"
        log.unlink(missing_ok=True)
        if not self.checkpoint_of(do.stack).exists():
            self.cli("stack", "init", stack=do.stack)
            self.set_stage(do.stage)
        flags = [flag for name, value in self._with_urns(do).items() for flag in _flags(name, value)]
        arguments = ("--yes", "--parallel=1", f"--event-log={log}", *flags)
        done = self.cli(do.operation, *arguments, check=False, stack=do.stack)
        if not log.exists():
            raise AssertionError(f"pulumi {do.operation} made no event log:\n{done.stdout}\n{done.stderr}")
        events = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        return self._outcome(do.stack, done.returncode == 0, *_last_run(do.operation, events))

    def _with_urns(self, do: Do) -> dict[str, Any]:
        named = {key: tuple(map(self._urn_of, do.options[key])) for key in ("targets", "replace") if key in do.options}
        return {**do.options, **named}

    def _urn_of(self, name: str) -> str:
        if "*" in name:
            return name
        kind = {"group": "test:index:Group", "child": "test:index:Group$pulumi-python:dynamic:Resource"}
        return f"urn:pulumi:dev::parity::{kind.get(name, 'pulumi-python:dynamic:Resource')}::{name}"

    def calls(self) -> list[tuple[str, str]]:
        """The (method, label) pairs of every call of the provider so far."""
        log = self.root / "calls"
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return [(method, label) for method, label, _ in map(json.loads, lines)]

    def things(self) -> list[str]:
        """What is really there."""
        return sorted(path.stem for path in (self.root / "things").iterdir())

    def urn(self, name: str) -> str:
        return f"urn:pulumi:dev::parity::pulumi-python:dynamic:Resource::{name}"

    def cli(self, *arguments: str, check: bool = True, stack: str = "dev") -> subprocess.CompletedProcess[str]:
        self.write_project(f"{{name: python, options: {{toolchain: pip, virtualenv: {python_with_pip(self.root)}}}}}")
        environment = {
            **os.environ,
            "PULUMI_HOME": str(self.root / "home"),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DEBUG_COMMANDS": "true",  # for --event-log
        }
        done = subprocess.run(
            ["pulumi", *arguments, f"--stack={stack}", "--non-interactive"],
            cwd=self.root,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"pulumi {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}")
        return done

    def drift(self) -> None:
        things = self.root / "things"
        changed = things / "changes.json"
        changed.write_text(changed.read_text(encoding="utf-8").replace("made of 1", "made of stone"), encoding="utf-8")
        (things / "vanishes.json").unlink()

    def state(self, stack: str = "dev") -> list[dict[str, Any]]:
        """The resources of the checkpoint: decrypted, sorted, and without what differs from run to run."""
        checkpoint = self.checkpoint_of(stack)
        if not checkpoint.exists():  # the CLI makes one before its first operation, the embedded engine by it
            return []
        document = json.loads(checkpoint.read_bytes())
        latest = document["checkpoint"].get("latest") or {}
        open_ = Crypter(SALT, lambda: PASSPHRASE, "test").decrypt
        resources = [_comparable(raw, open_) for raw in latest.get("resources") or []]
        assert "pending_operations" not in latest
        return sorted(resources, key=lambda raw: (raw["urn"], bool(raw.get("delete"))))

    def _outcome(self, stack: str, ok: bool, steps: list[tuple[str, str]], summary: dict[str, int]) -> dict[str, Any]:
        calls = [json.loads(line) for line in (self.root / "calls").read_text(encoding="utf-8").splitlines()]
        return {
            "ok": ok,
            "steps": [list(step) for step in sorted(steps, key=lambda step: step[0])],  # keeps each URN's own order
            "summary": summary,
            "calls": sorted(calls, key=json.dumps),
            "things": sorted(path.name for path in (self.root / "things").iterdir()),
            "state": self.state(stack),
        }


def _flags(name: str, value: Any) -> list[str]:
    flag = {"targets": "target"}.get(name, name.replace("_", "-"))
    return [f"--{flag}={item}" for item in value] if isinstance(value, tuple) else [f"--{flag}"]


def _last_run(operation: str, events: list[dict[str, Any]]) -> tuple[list[tuple[str, str]], dict[str, int]]:
    """The steps that were done and the summary of the update; none if its preview failed already."""
    summary = next(event["summaryEvent"] for event in events if "summaryEvent" in event)
    if summary["isPreview"]:
        return [], {}
    steps: list[tuple[str, str]] = []
    for event in events:
        if begun := event.get("resourcePreEvent"):
            steps.append((begun["metadata"]["urn"], begun["metadata"]["op"]))
        elif failed := event.get("resOpFailedEvent"):
            steps.remove((failed["metadata"]["urn"], failed["metadata"]["op"]))
        elif operation == "refresh" and (done := event.get("resOutputsEvent")):
            begun_as = (done["metadata"]["urn"], "refresh")  # a refresh tells only afterwards what it found
            steps[steps.index(begun_as)] = (done["metadata"]["urn"], done["metadata"]["op"])
    shown = [step for step in steps if not is_default_provider(step[0])]
    return shown, summary["resourceChanges"] or {}


def _comparable(raw: dict[str, Any], open_: Any) -> dict[str, Any]:
    result = {key: _revealed(value, open_) for key, value in raw.items() if key not in _ENGINES_OWN}
    if raw["type"].startswith("pulumi:providers:"):
        del result["id"]
    if "provider" in result:
        result["provider"] = result["provider"].rpartition("::")[0]
    if "dependencies" in result:
        result["dependencies"] = sorted(result["dependencies"])
    for urns in result.get("propertyDependencies", {}).values():
        urns.sort()
    for bag in ("inputs", "outputs"):
        if "__provider" in result.get(bag, {}):
            result[bag]["__provider"] = list(result[bag]["__provider"])  # that it is a secret, not what it is
    return result


def _revealed(value: Any, open_: Any) -> Any:
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET:
            return {"secret": json.loads(open_(value["ciphertext"]))}
        return {key: _revealed(item, open_) for key, item in value.items()}
    return [_revealed(item, open_) for item in value] if isinstance(value, list) else value


def python_with_pip(root: Path) -> Path:
    """A virtual environment with pip, which the CLI needs, that sees this one's packages."""
    folder = root.parent / "venv"
    if not folder.exists():
        venv.create(folder, with_pip=True, symlinks=True)
        packages = next(path for path in sys.path if path.endswith("site-packages"))
        (next(folder.glob("lib/python*/site-packages")) / "project.pth").write_text(packages, encoding="utf-8")
    return folder
