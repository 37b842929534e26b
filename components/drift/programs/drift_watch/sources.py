"""Where the two sides of the comparison come from: the registry, and the database of kept predictions."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import psycopg
import requests

from .quality import Labelled
from .rows import columns, join
from .settings import Settings

REFERENCE = "reference.csv"
EVALUATION = "evaluation.csv"
SECONDS = 60
MOST_REQUESTS = 20_000  # the latest; a comparison needs no more
QUERY = (
    "SELECT inputs, outputs FROM predictions WHERE model = %s AND version = %s AND purpose = 'production' "
    "AND at > now() - make_interval(hours => %s) ORDER BY at DESC LIMIT %s"
)
MOST_LABELS = 50_000
# What was asked with an id that has a label, and those labels; they're joined here, since one request holds many rows.
ANSWERED = (
    "SELECT version, request_id, at, outputs FROM predictions p WHERE model = %s AND purpose = 'production' "
    "AND EXISTS (SELECT FROM labels l WHERE l.model = p.model AND l.request_id = p.request_id) "
    "ORDER BY at DESC LIMIT %s"
)
LABELS = (
    "SELECT request_id, row_index, label, happened, received_at FROM labels WHERE model = %s "
    "ORDER BY received_at DESC LIMIT %s"
)
COUNTED = (
    "SELECT model, count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM predictions p "
    "WHERE p.model = l.model AND p.request_id = l.request_id)) FROM labels l GROUP BY model"
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
        text = self._artifact(version, REFERENCE)
        return None if text is None else pd.read_csv(io.StringIO(text))

    def evaluation(self, model: str, version: str) -> list[Labelled]:
        """Return the labelled predictions that a version was evaluated by; none where its run kept none."""
        try:
            text = self._artifact(self._version(model, version), EVALUATION) or ""
        except requests.HTTPError as error:
            if error.response.status_code != requests.codes.not_found:
                raise
            text = ""  # the version was deleted; its predictions and labels are still there
        return [
            Labelled(_value(row["prediction"]), _value(row["label"]), _moment(row.get("happened")))
            for row in csv.DictReader(io.StringIO(text))
        ]

    def labelled(self, model: str) -> dict[str, list[Labelled]]:
        """Return the kept predictions of a model whose labels are known, by version."""
        with psycopg.connect(connect_timeout=10) as connection:
            answered = connection.execute(ANSWERED, (model, MOST_REQUESTS)).fetchall()
            return join(answered, connection.execute(LABELS, (model, MOST_LABELS)).fetchall())

    def counted(self) -> list[tuple[str, int, int]]:
        """Return of each model how many labels there are, and how many of them belong to no prediction."""
        with psycopg.connect(connect_timeout=10) as connection:
            return [(str(model), int(known), int(lost)) for model, known, lost in connection.execute(COUNTED)]

    def _artifact(self, version: Version, path: str) -> str | None:
        url, query = f"{self._settings.registry}/get-artifact", {"run_id": version.run_id, "path": path}
        answer = self._session.get(url, params=query, timeout=SECONDS)
        if answer.status_code in (400, 404, 500):  # MLflow's words for a run or file that is not there
            return None
        answer.raise_for_status()
        return answer.text

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


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
