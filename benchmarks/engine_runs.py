"""Runs a program of many trivial resources on an engine, in processes of their own, and says what it cost."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine_child import PASSPHRASE, PROJECT, STACK
from benchmarks.figures import ROOT
from benchmarks.memory import Peak, pss_kb
from terrace.engine.options import PARALLEL
from terrace.engine.secrets import new_salt

INTERVAL_SECONDS = 0.05
EMBEDDED, CLI, FLOOR = "embedded", "cli", "floor"
# In a module of its own, so that it is pickled by name, as the providers of a real program are.
PROVIDER = """
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

class Instant(ResourceProvider):
    def create(self, props):
        return CreateResult("id", props)

class Thing(Resource):
    def __init__(self, name, number):
        super().__init__(Instant(), name, {"number": number})
"""
PROGRAM = """
from instant import Thing

for number in range(%d):
    Thing(f"thing-{number}", number)
"""


@dataclass(frozen=True)
class Cost:
    """What an operation took."""

    seconds: float
    megabytes: float


class Engines:
    """The engines that are there.

    Args:
        folder: Where the projects are made, one for each run, so that each begins from nothing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runs = 0
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")},
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        self.cli = shutil.which("pulumi") is not None
        if self.cli:
            self._make_venv()

    def run(self, engine: str, operation: str, count: int) -> Cost:
        """Run ``preview`` or ``up`` of a program of ``count`` resources, with the same parallelism everywhere."""
        project = self._project(engine, count)
        if engine == CLI:
            self._cost(["pulumi", "stack", "init", STACK, "--non-interactive"], project)
            command = ["pulumi", operation, f"--stack={STACK}", f"--parallel={PARALLEL}", "--non-interactive"]
            return self._cost([*command, "--yes"] if operation == "up" else command, project)
        if engine == EMBEDDED:
            self._salt(project)
        return self._cost([sys.executable, "-m", "benchmarks.engine_child", engine, operation, str(project)], ROOT)

    def _project(self, engine: str, count: int) -> Path:
        self._runs += 1
        project = self._folder / f"run-{self._runs}"
        project.mkdir()
        options = f", options: {{toolchain: pip, virtualenv: {self._folder / 'venv'}}}" if engine == CLI else ""
        (project / "Pulumi.yaml").write_text(
            f"name: {PROJECT}\nruntime: {{name: python{options}}}\nbackend: {{url: 'file://{project}'}}\n",
            encoding="utf-8",
        )
        (project / "instant.py").write_text(PROVIDER, encoding="utf-8")
        (project / "__main__.py").write_text(PROGRAM % count, encoding="utf-8")
        return project

    @staticmethod
    def _salt(project: Path) -> None:
        """What ``pulumi stack init`` does, which isn't part of what is measured either."""
        (project / f"Pulumi.{STACK}.yaml").write_text(f"encryptionsalt: {new_salt(PASSPHRASE)}\n", encoding="utf-8")

    def _cost(self, command: list[str], folder: Path) -> Cost:
        """Run a command, and watch it with everything that it starts.

        Memory is the most that all of its processes had at the same time: their PSS, since they share libraries, read
        again and again. (The usage that the kernel sums up for children says the largest of them, not their sum.)
        The CLI's plugins leave its process group but not its session, so the session is what is watched.
        """
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            with Peak(lambda: _session_megabytes(process.pid), INTERVAL_SECONDS) as peak:
                process.wait()
                seconds = time.perf_counter() - start
            if process.returncode:
                output.seek(0)
                raise RuntimeError(f"{' '.join(command)} failed:\n{output.read().decode(errors='replace')}")
        return Cost(seconds, peak.megabytes)

    def _make_venv(self) -> None:
        """A virtual environment with pip, which the CLI needs, that sees this one's packages."""
        folder = self._folder / "venv"
        venv.create(folder, with_pip=True, symlinks=True)
        packages = [path for path in sys.path if path.endswith("site-packages")]  # several with `uv run --with`
        own = next(folder.glob("lib/python*/site-packages"))
        (own / "project.pth").write_text("\n".join(packages), encoding="utf-8")


@contextmanager
def engines() -> Iterator[Engines]:
    """Engines in a temporary folder; says so where there is no CLI to compare with."""
    with tempfile.TemporaryDirectory(prefix="terrace-bench-") as folder:
        found = Engines(Path(folder).resolve())
        if not found.cli:
            sys.stdout.write(
                "There is no `pulumi` on PATH, so the embedded engine is compared with nothing; to get it: "
                "https://www.pulumi.com/docs/install/\n"
            )
        yield found


def _session_megabytes(leader: int) -> float:
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            session = (process / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[3]
            if int(session) == leader:
                total += pss_kb(process)
        except (OSError, IndexError):  # it ended meanwhile
            continue
    return total / 1000
