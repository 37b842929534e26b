"""Models on a platform that is up: which version is in production, who moved it there, and moving it on or back."""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from components.registry.clients import connect
from components.registry.clients.mlflow import MLflowModels, RegisteredModel
from components.serving.programs.model_sync import history
from terrace.errors import InputError, OperationError
from terrace.web import Client

STATE_TAG = "terrace.serving.state"
ERROR_TAG = "terrace.serving.error"
AT_TAG = "terrace.serving.at"
PROMOTE_SECONDS = 1800.0  # a version's libraries may have to be installed
ROLLBACK_SECONDS = 60.0  # they are there
POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Model:
    """A registered model as it stands.

    Attributes:
        name: Its name.
        production: The version that has the alias of production.
        served: The version that was last seen in production.
        candidate: The version that is served beside it.
        history: What was in production, the latest last.
    """

    name: str
    production: str | None
    served: str | None
    candidate: str | None
    history: tuple[history.Move, ...]

    def document(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class Moved:
    """What a promotion or rollback did: from one version to another, and how long it took (seconds)."""

    model: str
    version: str
    previous: str | None
    seconds: float


class Models:
    """The models of a platform that is up.

    Args:
        env: The environment.
        outputs: The stack's outputs, secrets shown.

    Raises:
        InputError: The platform has no registry or no serving, or is not up.
    """

    def __init__(self, env: str, outputs: Mapping[str, Any]) -> None:
        connection = outputs.get("connection")
        if not connection:
            raise InputError(f"{env} isn't up", fix=f"bring it up first: terrace up {env}")
        if "SERVING_URL" not in connection:
            raise InputError(f"{env} serves no models", fix="add `serving: {}` to terrace:platform")
        self._env = env
        self._registry: MLflowModels = connect(outputs)
        self._alias = str(connection["SERVING_ALIAS"])
        self._candidate = str(connection["SERVING_CANDIDATE_ALIAS"])
        self._serving = Client(
            connection["SERVING_URL"],
            connection["TERRACE_GATEWAY_USER"],
            connection["TERRACE_GATEWAY_PASSWORD"],
            connection.get("TERRACE_CA_FILE"),
        )

    def all(self) -> tuple[Model, ...]:
        """Return the models, by name."""
        return tuple(self._model(each) for each in self._registry.all())

    def get(self, name: str) -> Model:
        """Return one model.

        Raises:
            InputError: There is none of that name.
        """
        found = self._registry.get(name)
        if found is None:
            names = [each.name for each in self._registry.all()]
            near = difflib.get_close_matches(name, names, 1)
            fix = f"did you mean {near[0]!r}? " if near else ""
            raise InputError(f"there is no model {name!r}", fix=f"{fix}registered: {', '.join(names) or 'none'}")
        return self._model(found)

    def promote(self, name: str, version: str | None, by: str, seconds: float = PROMOTE_SECONDS) -> Moved:
        """Put a version into production and wait until it is served.

        Args:
            name: The model.
            version: The version; the candidate where it isn't given.
            by: Who does it, for the record.
            seconds: How long to wait.

        Raises:
            InputError: There is no such model or version, or no candidate.
            OperationError: It is not served; the alias is back where it was.
        """
        model = self.get(name)
        version = version or model.candidate
        if version is None:
            raise InputError(f"{name} has no candidate", fix=self._name_one(name))
        if self._registry.version_tags(name, version) is None:
            raise InputError(f"{name} has no version {version!r}", fix="see the registry for the versions there are")
        try:
            moved = self._move(model, version, by, "promote", seconds)
        except BaseException:  # an interrupt too: an unproven version must not stay
            self._step_back(model)
            raise
        if model.candidate == version:
            self._registry.delete_alias(name, self._candidate)
        return moved

    def rollback(self, name: str, by: str, seconds: float = ROLLBACK_SECONDS) -> Moved:
        """Put the version back into production that was there before, and wait until it is served.

        Where the version that has the alias never came into production, that is the version still served.

        Raises:
            InputError: There is no such model, or nothing was in production before.
            OperationError: It is not served yet; the alias stays with it.
        """
        model = self.get(name)
        target = history.before(model.history) if model.production == model.served else model.served
        if target is None or self._registry.version_tags(name, target) is None:
            gone = f"version {target}, which was, is no longer registered" if target else None
            raise InputError(
                f"no version of {name} was in production before {model.served or 'now'}",
                why=gone,
                fix=self._name_one(name),
            )
        return self._move(model, target, by, history.ROLLBACK, seconds)

    def _name_one(self, name: str) -> str:
        return f"name a version: terrace promote {self._env} {name} VERSION"

    def _move(self, model: Model, version: str, by: str, how: str, seconds: float) -> Moved:
        begun = time.monotonic()
        self._check_serving()
        before = self._registry.version_tags(model.name, version)
        if model.production != version:
            self._registry.set_tag(model.name, history.REQUEST_TAG, history.request(version, by, how))
            self._registry.set_alias(model.name, self._alias, version)
        self._wait(model.name, version, before or {}, begun + seconds)
        return Moved(model.name, version, model.served, round(time.monotonic() - begun, 1))

    def _check_serving(self) -> None:
        answer = self._serving.request("GET", "/v2/health/live")
        if answer.status >= 400:
            raise OperationError(
                "serving is down, so nothing was moved",
                where=answer.url,
                why=f"it answers {answer.status}",
                fix=f"see what is wrong: terrace status {self._env}",
            )

    def _wait(self, name: str, version: str, before: Mapping[str, str], deadline: float) -> None:
        """Wait until the deployer says that the version is in production."""
        while True:
            if self.get(name).served == version:
                return
            tags = self._registry.version_tags(name, version) or {}
            if tags.get(STATE_TAG) == "failed" and tags.get(AT_TAG) != before.get(AT_TAG):
                raise OperationError(
                    "the version cannot be served", where=f"{name} version {version}", why=tags.get(ERROR_TAG)
                )
            if time.monotonic() > deadline:
                raise OperationError(
                    "the version is not served yet",
                    where=f"{name} version {version}",
                    why=f"the deployer says {tags.get(STATE_TAG, 'nothing')!r}",
                    fix=f"see terrace status {self._env} and the log of mlserver's process sync",
                )
            time.sleep(POLL_SECONDS)

    def _step_back(self, model: Model) -> None:
        if model.production is None:
            self._registry.delete_alias(model.name, self._alias)
        else:
            self._registry.set_alias(model.name, self._alias, model.production)

    def _model(self, found: RegisteredModel) -> Model:
        moves = history.read(found.tags)
        served = moves[-1].version if moves else None
        return Model(found.name, found.aliases.get(self._alias), served, found.aliases.get(self._candidate), moves)
