"""Where the two sides of the comparison come from: the registry, and the database of kept predictions."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pandas as pd
import psycopg
import requests

from .rows import columns
from .settings import Settings

REFERENCE = "reference.csv"
SECONDS = 60
MOST_REQUESTS = 20_000  # the latest; a comparison needs no more
QUERY = (
    "SELECT inputs, outputs FROM predictions WHERE model = %s AND version = %s AND purpose = 'production' "
    "AND at > now() - make_interval(hours => %s) ORDER BY at DESC LIMIT %s"
)


@dataclass(frozen=True)
class Version:
    """A version in production, and the run that made it."""

    model: str
    version: str
    run_id: str


class Sources:
    """Both sides.

    Raises :class:`requests.RequestException` or :class:`psycopg.Error` where one cannot be asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session = requests.Session()
        self._session.auth = (settings.user, settings.password)
        self._session.trust_env = False

    def in_production(self) -> list[Version]:
        """Return the versions with the alias."""
        found: list[Version] = []
        token = ""
        while True:
            page = self._get("registered-models/search", max_results=100, page_token=token)
            for model in page.get("registered_models", ()):
                for alias in model.get("aliases", ()):
                    if alias["alias"] == self._settings.alias:
                        found.append(self._version(model["name"], str(alias["version"])))
            token = page.get("next_page_token", "")
            if not token:
                return found

    def _version(self, model: str, version: str) -> Version:
        found = self._get("model-versions/get", name=model, version=version)["model_version"]
        return Version(model, version, found.get("run_id", ""))

    def reference(self, version: Version) -> pd.DataFrame | None:
        """Return what the version was trained on, a sample; None where its run kept none."""
        answer = self._session.get(
            f"{self._settings.registry}/get-artifact",
            params={"run_id": version.run_id, "path": REFERENCE},
            timeout=SECONDS,
        )
        if answer.status_code in (400, 404, 500):  # MLflow's words for a run or file that is not there
            return None
        answer.raise_for_status()
        return pd.read_csv(io.StringIO(answer.text))

    def kept(self, version: Version) -> pd.DataFrame:
        """Return the version's kept predictions of the window."""
        with psycopg.connect(connect_timeout=10) as connection:
            values = (version.model, version.version, self._settings.window_hours, MOST_REQUESTS)
            return pd.DataFrame(columns(connection.execute(QUERY, values)))

    def _get(self, path: str, **query: Any) -> Any:
        given = {name: value for name, value in query.items() if value}
        url = f"{self._settings.registry}/api/2.0/mlflow/{path}"
        answer = self._session.get(url, params=given, timeout=SECONDS)
        answer.raise_for_status()
        return answer.json()
