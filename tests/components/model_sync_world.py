"""What the deployer of models works on, for tests: a registry, an MLServer and an installer that can fail."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
import yaml

from components.serving.programs.model_sync.environments import Builds
from components.serving.programs.model_sync.errors import DeploymentError, RegistryAwayError
from components.serving.programs.model_sync.page import Health
from components.serving.programs.model_sync.repository import folder_name
from components.serving.programs.model_sync.settings import Settings
from components.serving.programs.model_sync.sync import Sync

UV = """#!/bin/sh
echo "$@" >> "$0.log"
env > "$0.env"
for last; do :; done
[ "$1" = venv ] && mkdir -p "$last" && exit 0
cp "$last" "$0.requirements"
if [ -e "$0.fails" ]; then echo "no solution found at https://me:pa55@index.example/" >&2; exit 1; fi
"""
SKOPS = {
    "flavors": {
        "python_function": {"loader_module": "mlflow.sklearn", "model_path": "model.skops"},
        "sklearn": {
            "pickled_model": "model.skops",
            "serialization_format": "skops",
            "skops_trusted_types": ["functools.partial"],
        },
    }
}


def fake_uv(folder: Path) -> Path:
    """Return an installer that writes down what it is asked, and fails while ``uv.fails`` lies beside it."""
    program = folder / "uv"
    program.write_text(UV)
    program.chmod(0o755)
    return program


def settings(root: Path) -> Settings:
    (root / "owners.json").write_text('{"m": ["delays", "science"]}')
    (root / "requirements.txt").write_text("mlserver==1.7.1 --hash=sha256:aa\nnumpy==2.4.6 --hash=sha256:bb\n")
    return Settings(
        alias="production",
        candidate="candidate",
        interval=5,
        retry=300,
        data=root / "data",
        lock=root / "requirements.txt",
        owners=root / "owners.json",
        port=0,
        mlserver="http://127.0.0.1:1",
        trusted_types=frozenset({"functools.partial"}),
        uv=fake_uv(root),
    )


def save_model(folder: Path, model: Any = SKOPS, requirements: str | None = "skops==0.13") -> None:
    (folder / "MLmodel").write_text(yaml.safe_dump(model))
    if requirements is not None:
        (folder / "requirements.txt").write_text(requirements)


def tree(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@dataclass
class FakeRegistry:
    """A registry whose versions are all good models, but for those in ``models``."""

    pins: dict[str, str] = field(default_factory=dict)
    models: dict[str, dict[str, Any]] = field(default_factory=dict)
    away: bool = False
    states: dict[tuple[str, str], str] = field(default_factory=dict)
    errors: dict[tuple[str, str], str] = field(default_factory=dict)
    downloads: list[str] = field(default_factory=list)
    moves: dict[str, list[str]] = field(default_factory=dict)
    owners: list[tuple[str, str, str]] = field(default_factory=list)

    def own(self, name: str, use_case: str, owner: str) -> bool:
        if not self.away:
            self.owners.append((name, use_case, owner))
        return not self.away

    def pinned(self) -> dict[str, str]:
        if self.away:
            raise RegistryAwayError("no route to host")
        return dict(self.pins)

    def download(self, name: str, version: str, folder: Path) -> None:
        self.downloads.append(version)
        save_model(folder, **self.models.get(version, {}))

    def report(self, name: str, version: str, state: str, error: str = "") -> None:
        self.states[name, version] = state
        self.errors[name, version] = error

    def record(self, name: str, version: str) -> None:
        moves = self.moves.setdefault(name, [])
        if moves[-1:] != [version]:
            moves.append(version)

    def before(self, name: str) -> str | None:
        moves = self.moves.get(name, [])
        return moves[-2] if len(moves) > 1 else None

    def forget(self, name: str, version: str) -> None:
        self.states.pop((name, version), None)


@dataclass
class FakeServer:
    """An MLServer that loads what lies in its folder: registry's versions by model and entry's version."""

    folder: Path
    up: bool = True
    broken: set[str] = field(default_factory=set)  # versions that do not load
    mute: set[str] = field(default_factory=set)  # versions that load but do not answer
    wrong_order: int = 0  # loads after which a version's own entry is lost
    never_ready: bool = False
    stuck: bool = False  # the default stays what it was
    loaded: dict[str, dict[str | None, str]] = field(default_factory=dict)
    history: list[str] = field(default_factory=list)

    def live(self) -> bool:
        self._reach()
        return True

    def ready(self, name: str, version: str | None = None) -> bool:
        self._reach()
        return not self.never_ready and version in self.loaded.get(name, {})

    def load(self, name: str) -> None:
        self._reach()
        before = self.loaded.get(name, {})
        found: dict[str | None, str] = {}
        for file in (self.folder / folder_name(name)).glob("*/model-settings.json"):
            parameters = json.loads(file.read_text())["parameters"]
            version = parameters["extra"]["registry_version"]
            if version in self.broken and version not in before.values():
                raise DeploymentError(f"cannot load {version}")
            assert Path(parameters["uri"], "MLmodel").exists(), f"the files of version {version} are gone"
            assert Path(parameters["environment_path"]).is_dir(), f"the libraries of version {version} are gone"
            found[parameters.get("version")] = version
        if self.stuck and None in before:
            found[None] = before[None]
        if self.wrong_order and len(found) > 1:
            self.wrong_order -= 1
            found = {None: found[None]}
        self.loaded[name] = found
        self.history.append(found.get(None, ""))

    def unload(self, name: str) -> None:
        self._reach()
        self.loaded.pop(name, None)

    def answer(self, name: str, version: str | None, request: str) -> dict[str, Any]:
        self._reach()
        assert request == "the example"
        answers = self.loaded[name][version]
        if answers in self.mute:
            raise DeploymentError(f"{answers} does not answer")
        return {"model_version": answers, "outputs": [1]}

    def restart(self) -> None:
        self.loaded = {}

    def _reach(self) -> None:
        if not self.up:
            raise requests.ConnectionError("connection refused")


class WaitingExecutor(Executor):
    """Does at once what it is given, or while ``waits`` only when told to."""

    def __init__(self) -> None:
        self.waits = False
        self._waiting: list[tuple[Future[Any], Callable[[], Any]]] = []

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **options: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self._waiting.append((future, lambda: call(*arguments, **options)))
        if not self.waits:
            self.work()
        return future

    def work(self) -> None:
        for future, call in self._waiting:
            try:
                future.set_result(call())
            except Exception as error:
                future.set_exception(error)
        self._waiting.clear()


class World:
    """The deployer between a registry and a server."""

    def __init__(self, root: Path) -> None:
        self.settings = settings(root)
        self.registry = FakeRegistry()
        self.server = FakeServer(self.settings.models)
        self.example: str | None = "the example"
        self.restart()

    def restart(self) -> None:
        self.health = Health()
        self.executor = WaitingExecutor()
        builds = Builds(self.settings, self.executor)
        self.sync = Sync(self.settings, self.registry, self.server, builds, self.health, lambda files: self.example)

    def deploy(self, name: str, version: str) -> None:
        """Move the alias and look; the version's files then count as ``version`` seconds old, the higher the newer."""
        self.registry.pins[name] = version
        self.sync.look()
        folder = self.files(name, version).parent
        if folder.exists():
            os.utime(folder, (int(version), int(version)))

    def served(self, name: str) -> str | None:
        """Return the version that a client of the model gets."""
        return self.server.loaded.get(name, {}).get(None)

    def files(self, name: str, version: str) -> Path:
        return self.settings.artifacts / name / version / "files"
