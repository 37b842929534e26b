"""MLflow's model registry over its REST API: aliases and tags of models, and nothing else.

Upstream: https://mlflow.org/docs/latest/api_reference/rest-api.html, written for MLflow 3.17.
"""

from __future__ import annotations

import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from terrace.errors import OperationError
from terrace.web import Answer, Client

API = "/api/2.0/mlflow/"


@dataclass(frozen=True)
class RegisteredModel:
    """A model: its version by alias, and its tags."""

    name: str
    aliases: Mapping[str, str]
    tags: Mapping[str, str]


class MLflowModels:
    """The registry, by one account.

    Every method raises :class:`OperationError` where the registry doesn't answer or refuses.
    """

    def __init__(self, url: str, user: str, password: str, ca_file: str | None = None) -> None:
        self._client = Client(url, user, password, ca_file)

    def all(self) -> tuple[RegisteredModel, ...]:
        """Return every model, by name."""
        found: list[RegisteredModel] = []
        token = ""
        while True:
            page = self._get("registered-models/search", max_results="100", page_token=token)
            found += [_model(each) for each in page.get("registered_models", ())]
            token = page.get("next_page_token", "")
            if not token:
                return tuple(sorted(found, key=lambda model: model.name))

    def get(self, name: str) -> RegisteredModel | None:
        """Return the model, or None where there is none of that name."""
        answer = self._client.request("GET", f"{API}registered-models/get?{urllib.parse.urlencode({'name': name})}")
        return None if answer.status == 404 else _model(_checked(answer)["registered_model"])

    def version_tags(self, name: str, version: str) -> Mapping[str, str] | None:
        """Return the version's tags, or None where there is no such version."""
        query = urllib.parse.urlencode({"name": name, "version": version})
        answer = self._client.request("GET", f"{API}model-versions/get?{query}")
        if answer.status in (400, 404):  # 400 is for a version that is no number
            return None
        return _tags(_checked(answer)["model_version"])

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """Give the version the alias, which leaves the version that had it."""
        self._send("POST", "registered-models/alias", name=name, alias=alias, version=version)

    def delete_alias(self, name: str, alias: str) -> None:
        """Take the alias from the version that has it."""
        self._send("DELETE", "registered-models/alias", name=name, alias=alias)

    def set_tag(self, name: str, key: str, value: str) -> None:
        """Set a tag of the model."""
        self._send("POST", "registered-models/set-tag", name=name, key=key, value=value)

    def _get(self, path: str, **query: str) -> Any:
        given = {key: value for key, value in query.items() if value}
        return _checked(self._client.request("GET", f"{API}{path}?{urllib.parse.urlencode(given)}"))

    def _send(self, method: str, path: str, **body: str) -> None:
        _checked(self._client.request(method, API + path, body))


def _checked(answer: Answer) -> Any:
    if answer.status >= 400:
        raise OperationError(
            f"the registry refused with {answer.status}", where=answer.url, why=answer.text[:500] or None
        )
    return answer.json()


def _model(entry: Mapping[str, Any]) -> RegisteredModel:
    aliases = {each["alias"]: str(each["version"]) for each in entry.get("aliases", ())}
    return RegisteredModel(entry["name"], aliases, _tags(entry))


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag.get("value", "") for tag in entry.get("tags", ())}
