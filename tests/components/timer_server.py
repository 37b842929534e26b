"""The pipelines service for tests: in this process, so that coverage sees it, or as the program that is shipped."""

from __future__ import annotations

import abc
import io
import json
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import uvicorn

from components.pipelines.parts.service import shipped
from components.pipelines.programs.intake.api import application
from components.pipelines.programs.intake.settings import Settings
from components.pipelines.programs.intake.store import Store
from components.pipelines.programs.timer.local import LocalEngine
from components.pipelines.timer import TIMER
from terrace.pipelines import Bundle, PipelineClient, Run, make_bundle

PASSWORD = "account-pa55word"
SECRET = "s3cret-of-the-store"
STARTS_WITHIN_SECONDS = 30


class Server(abc.ABC):
    """The service on a free port, with a data folder that outlives it."""

    def __init__(self, root: Path) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.data = root / "data"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = PipelineClient(self.url, "pipelines", PASSWORD)
        self.settings: dict[str, str] = {}

    @abc.abstractmethod
    def start(self) -> None:
        """Start the service and wait until it answers."""

    @abc.abstractmethod
    def stop(self) -> None:
        """Ask the service to end, and wait for it."""

    def environment(self) -> dict[str, str]:
        return {
            "PATH": "/usr/bin:/bin",
            "PIPELINES_PORT": str(self.port),
            "PIPELINES_DATA": str(self.data),
            "PIPELINES_USER": "pipelines",
            "PIPELINES_PASSWORD": PASSWORD,
            "PIPELINES_PROJECT_VARIABLES": "STORE_URL,STORE_PASSWORD",
            "STORE_URL": "http://store.example",
            "STORE_PASSWORD": SECRET,
            **self.settings,
        }

    def answers(self) -> bool:
        try:
            return self.get("/health") == b'{"status":"ok"}'
        except urllib.error.URLError:
            return False

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return bytes(answer.read())

    def metric(self, line: str) -> float:
        """Return the value of the metric whose name and labels are ``line``."""
        page = self.get("/metrics").decode()
        return next(float(each.rsplit(" ", 1)[1]) for each in page.splitlines() if each.rsplit(" ", 1)[0] == line)

    def log(self, run: Run, step: str | None) -> str:
        return self.client.log(run.id, step).decode()


class InProcess(Server):
    """The service in a thread of this process."""

    def start(self) -> None:
        settings = Settings.from_environment(self.environment())
        served = application(settings, Store(settings.data), LocalEngine)
        configuration = uvicorn.Config(served, port=self.port, log_config=None)
        self._server = uvicorn.Server(configuration)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        wait_for(self.answers, STARTS_WITHIN_SECONDS)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive(), "the service does not end"


class Program(Server):
    """The service as a program of its own, made of nothing but the files that are shipped."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.process: subprocess.Popen[bytes] | None = None
        for file in shipped("timer"):
            path = root / "program" / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(file.content))

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the program without waiting for an answer."""
        environment = {**self.environment(), "PYTHONPATH": str(self.root / "program")}
        with (self.root / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", TIMER], env=environment, cwd="/", stdout=log, stderr=log
            )
        return self.process

    def start(self) -> None:
        self.launch()
        wait_for(self.answers, STARTS_WITHIN_SECONDS)

    def stop(self) -> None:
        if self.process:
            self.end(signal.SIGTERM)

    def end(self, how: signal.Signals) -> int:
        """Send the signal and return the exit code."""
        assert self.process is not None
        self.process.send_signal(how)
        code = self.process.wait(30)
        self.process = None
        return code

    def output(self) -> str:
        return (self.root / "service.log").read_text()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{condition} is still not so after {seconds} s"
        time.sleep(0.05)


def python(source: str) -> list[str]:
    return [sys.executable, "-c", source]


def project(folder: Path, name: str, *steps: dict[str, object], **options: object) -> Bundle:
    folder.mkdir(exist_ok=True)
    # JSON is YAML.
    (folder / "pipeline.yaml").write_text(json.dumps({"name": name, "steps": steps, **options}))
    return make_bundle(folder)


def run_once(server: Server, folder: Path, name: str, *steps: dict[str, object], **options: object) -> Run:
    server.client.put(name, project(folder, name, *steps, **options))
    return server.client.wait(server.client.start(name).id, poll_seconds=0.05)


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> Bundle:
    packed = io.BytesIO()
    with tarfile.open(mode="w:gz", fileobj=packed) as tar:
        for member, content in members:
            member.size = len(content) if member.isreg() else 0
            tar.addfile(member, io.BytesIO(content))
    return Bundle(packed.getvalue(), "", "c0ffee")


def members(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Bundle:
    """Return a bundle with a good pipeline and one more member."""
    definition = json.dumps({"name": "evil", "steps": [{"name": "a", "command": ["true"]}]}).encode()
    extra = tarfile.TarInfo(name)
    extra.type, extra.linkname = kind, link
    return archive((tarfile.TarInfo("pipeline.yaml"), definition), (extra, b"x"))
