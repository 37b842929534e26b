"""Makes MLServer serve what the registry asks for."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import requests

from . import artifacts, environments, page
from .errors import DeploymentError, RegistryAwayError
from .places import candidate, is_candidate, model_of
from .repository import Repository, folder_name
from .server import Server
from .settings import Settings

if TYPE_CHECKING:
    from mlserver.types import InferenceRequest

    from .registry import Registry

LOG = logging.getLogger(__name__)
KEPT_VERSIONS = 3
LOAD_ATTEMPTS = 3


class Sync:
    """The deployer. All that it needs to go on after a restart is on disk and in the registry.

    Args:
        settings: What the program is told.
        registry: Where the versions are.
        server: Where they are served.
        builds: What makes the environments.
        health: What to keep up to date for the health page.
        example: Returns a model's input example as a request, from the folder of its files.
    """

    def __init__(
        self,
        settings: Settings,
        registry: Registry,
        server: Server,
        builds: environments.Builds,
        health: page.Health,
        example: Callable[[Path], InferenceRequest | None],
    ) -> None:
        self._settings = settings
        self._registry = registry
        self._server = server
        self._builds = builds
        self._health = health
        self._example = example
        self._repository = Repository(settings.models)
        self._confirmed: set[str] = set()
        self._failures: dict[str, tuple[str, float]] = {}
        self._owned: dict[str, tuple[str, str]] = {}
        self._announced: dict[str, str] = {}

    def look(self) -> None:
        """Look once at the registry and at MLServer, and do what follows."""
        problems = []
        try:
            pinned = self._registry.pinned()
        except RegistryAwayError as error:
            problems.append(f"the registry does not answer: {error}")
            pinned = {name: self._repository.served(name) or "" for name in self._repository.names()}
        page.REGISTRY_UP.set(not problems)
        try:
            self._converge(pinned, fresh=not problems)
        except requests.RequestException as error:
            problems.append(f"MLServer does not answer: {error}")
        page.SERVER_UP.set(not any(problem.startswith("MLServer") for problem in problems))
        self._own()
        self._tell("; ".join(problems))

    def _converge(self, pinned: dict[str, str], *, fresh: bool) -> None:
        if not self._server.live():
            raise requests.ConnectionError("it is not live yet")
        for name in self._repository.names():
            if name not in pinned:
                self._retire(name)
        if fresh:
            self._failures = {name: each for name, each in self._failures.items() if pinned.get(name) == each[0]}
        for name, version in pinned.items():
            if self._announced.get(name, version) != version:
                del self._announced[name]
            served = self._repository.served(name)
            failed, again = self._failures.get(name, ("", 0.0))
            due = version != served or name not in self._confirmed
            if fresh and due and (failed != version or time.monotonic() >= again):
                self._deploy(name, version, served)
            elif served:
                self._hold(name, served)
            if fresh and not is_candidate(name) and (served := self._repository.served(name)):
                self._registry.record(name, served)

    def _deploy(self, name: str, version: str, served: str | None) -> None:
        self._announce(name, version, served)
        try:
            files, environment = self._prepare(name, version)
            if environment is None:
                if served:
                    self._hold(name, served)
                return
            self._switch(name, version, files, environment)
        except DeploymentError as error:
            self._fail(name, version, str(error))
            return
        except Exception as error:
            # Whatever it is, it must not keep the other models from being deployed.
            LOG.exception("%s: version %s failed unexpectedly", name, version)
            self._fail(name, version, str(DeploymentError(f"{type(error).__name__}: {error}")))
            return
        self._failures.pop(name, None)
        self._announced.pop(name, None)
        self._confirmed.add(name)
        self._registry.report(name, version, "ready")
        if served and served != version:
            self._registry.forget(name, served)
        page.DEPLOYMENTS.labels(name, "ready").inc()
        LOG.info("%s: version %s is served", name, version)
        self._clean_up()

    def _announce(self, name: str, version: str, served: str | None) -> None:
        if self._announced.get(name) == version:
            return
        LOG.info("%s: deploying version %s in place of %s", name, version, served)
        self._announced[name] = version
        if version != served:
            self._registry.report(name, version, "deploying")

    def _prepare(self, name: str, version: str) -> tuple[Path, Path | None]:
        """Return the version's files and its environment, which is None while it is being built."""
        folder = self._settings.artifacts / folder_name(model_of(name)) / version
        files = artifacts.fetch(folder, lambda target: self._registry.download(name, version, target))
        artifacts.review(files, self._settings.trusted_types)
        listing = files / "requirements.txt"
        if not listing.exists():
            raise DeploymentError("the model names no requirements, so its libraries are unknown")
        text = listing.read_text(encoding="utf-8")
        # Noted before it is there, so that nothing clears it away half-built.
        (folder / "environment").write_text(environments.folder(self._settings, text).name, encoding="utf-8")
        return files, self._builds.get(text)

    def _switch(self, name: str, version: str, files: Path, environment: Path) -> None:
        before = self._repository.snapshot(name)
        served = self._repository.served(name)
        first = served is None
        request = self._example(files)
        try:
            self._repository.write(name, version, files, environment, serve=first)
            self._server.load(name)
            if request:
                self._server.answer(name, None if first else version, request)
            self._repository.write(name, version, files, environment, serve=True)
            self._repository.write(name, version, files, environment, serve=False)
            self._repository.keep(name, version, served or version)
            self._load(name, version)
            if request:
                self._confirm(name, version, request)
        except Exception as error:
            self._roll_back(name, before)
            if isinstance(error, requests.RequestException):
                raise DeploymentError(str(error)) from error
            raise

    def _confirm(self, name: str, version: str, request: InferenceRequest) -> None:
        answered = self._server.answer(name, None, request)["model_version"]
        if answered != version:
            raise DeploymentError(f"MLServer still answers with version {answered}")

    def _roll_back(self, name: str, before: dict[str, str]) -> None:
        self._repository.restore(name, before)
        try:
            if before:
                self._server.load(name)
            else:
                self._server.unload(name)
        except (DeploymentError, requests.RequestException) as error:
            LOG.warning("%s: what was served before is not loaded yet: %s", name, error)

    def _fail(self, name: str, version: str, reason: str) -> None:
        LOG.error("%s: version %s failed: %s", name, version, reason)
        self._announced.pop(name, None)
        self._failures[name] = (version, time.monotonic() + self._settings.retry)
        self._registry.report(name, version, "failed", reason)
        page.DEPLOYMENTS.labels(name, "failed").inc()

    def _hold(self, name: str, served: str) -> None:
        """Load what is served again where MLServer lost it, by a restart say."""
        if not (self._server.ready(name) and self._server.ready(name, served)):
            LOG.info("%s: loading version %s again", name, served)
            try:
                self._load(name, served)
            except DeploymentError as error:
                LOG.warning("%s: version %s cannot be loaded again: %s", name, served, error)

    def _load(self, name: str, version: str) -> None:
        """Load the model's entries; where that of the version before is in the way, without it."""
        try:
            self._load_entries(name, version)
        except DeploymentError as error:
            if self._repository.versions(name) == {version}:
                raise
            LOG.warning("%s: the version before is not kept loaded any more: %s", name, error)
            self._repository.keep(name, version)
            self._load_entries(name, version)

    def _load_entries(self, name: str, version: str) -> None:
        # MLServer takes entries in no certain order; where a version comes before the default, the default
        # replaces it, and the next load brings the version back.
        for _ in range(LOAD_ATTEMPTS):
            self._server.load(name)
            if self._server.ready(name) and self._server.ready(name, version):
                return
        raise DeploymentError("MLServer loads the model but does not make it ready")

    def _retire(self, name: str) -> None:
        LOG.info("%s: no version has the alias any more, so none is served", name)
        served = self._repository.served(name)
        self._server.unload(name)
        self._repository.remove(name)
        self._confirmed.discard(name)
        if served:
            self._registry.forget(name, served)

    def _clean_up(self) -> None:
        """Remove files and environments that only versions long out of service needed."""
        for model in self._settings.artifacts.iterdir():
            versions = sorted(model.iterdir(), key=lambda folder: folder.stat().st_mtime, reverse=True)
            name = unquote(model.name)
            needed_versions = {
                self._repository.served(name),
                self._repository.served(candidate(name)),
                self._registry.before(name),
                *self._repository.versions(name),
                *self._repository.versions(candidate(name)),
            }
            for folder in versions[KEPT_VERSIONS:]:
                if folder.name not in needed_versions:
                    shutil.rmtree(folder)
        records = self._settings.artifacts.glob("*/*/environment")
        needed = {record.read_text(encoding="utf-8") for record in records}
        for environment in self._settings.environments.iterdir():
            if environment.is_dir() and environment.name not in needed:
                shutil.rmtree(environment)
                environment.with_suffix(".txt").unlink(missing_ok=True)

    def _own(self) -> None:
        """Record whose the served models are; the file that says so may change while the program runs."""
        owners = json.loads(self._settings.owners.read_text(encoding="utf-8"))
        page.WITHOUT_OWNER.clear()
        for name in sorted({model_of(name) for name in self._repository.names()}):
            if name not in owners:
                page.WITHOUT_OWNER.labels(name).set(1)
                continue
            use_case, owner = owners[name]
            if self._owned.get(name) != (use_case, owner) and self._registry.own(name, use_case, owner):
                self._owned[name] = (use_case, owner)

    def _tell(self, problem: str) -> None:
        """Bring the health page and the metrics up to date, and log a change for the better or worse."""
        if problem != self._health.problem:
            LOG.log(logging.WARNING if problem else logging.INFO, problem or "all is well")
        served = {name: self._repository.served(name) or "" for name in self._repository.names()}
        failed = {name: version for name, (version, _) in self._failures.items()}
        page.SERVED.clear()
        for name, version in served.items():
            page.SERVED.labels(name).set(int(version or 0))
        page.FAILED.clear()
        for name, version in failed.items():
            page.FAILED.labels(name, version).set(1)
        if not problem:
            page.LAST_SYNC.set_to_current_time()
        self._health.problem = problem
        self._health.served = served
        self._health.failed = failed
        self._health.beat = time.monotonic()
