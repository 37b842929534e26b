"""What the program is told by its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .quality import Limits


@dataclass(frozen=True)
class Settings:
    """The program's settings.

    Args:
        port: Loopback port of its pages.
        interval: Seconds between two looks.
        window_hours: How far back predictions are looked at.
        minimum_rows: Fewer are not compared.
        column_distance: From which distance a column has drifted.
        drift_share: The share of drifted inputs that an alert compares with.
        reports: Folder of the reports.
        registry: Address of the model registry.
        user: Its account.
        password: The account's password.
        alias: The alias of versions in production.
        keeps: Whether predictions are kept at all.
        limits: From when on something is said of a model's quality.
        labeller: The database's role that keeps labels, and its password.
    """

    port: int
    interval: float
    window_hours: int
    minimum_rows: int
    column_distance: float
    drift_share: float
    reports: Path
    registry: str
    user: str
    password: str
    alias: str
    keeps: bool
    limits: Limits
    labeller: tuple[str, str]

    @classmethod
    def read(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Return the settings.

        Raises:
            KeyError: A variable is missing.
        """
        return cls(
            port=int(environment["DRIFT_PORT"]),
            interval=float(environment["DRIFT_INTERVAL"]),
            window_hours=int(environment["DRIFT_WINDOW_HOURS"]),
            minimum_rows=int(environment["DRIFT_MINIMUM_ROWS"]),
            column_distance=float(environment["DRIFT_COLUMN_DISTANCE"]),
            drift_share=float(environment["DRIFT_SHARE"]),
            reports=Path(environment["DRIFT_REPORTS"]),
            registry=environment["DRIFT_REGISTRY"],
            user=environment["DRIFT_REGISTRY_USER"],
            password=environment["DRIFT_REGISTRY_PASSWORD"],
            alias=environment["DRIFT_ALIAS"],
            keeps="PGHOST" in environment,
            limits=Limits(
                rows=int(environment["DRIFT_MINIMUM_LABELS"]),
                judged=int(environment["DRIFT_JUDGED_LABELS"]),
                drop=float(environment["DRIFT_QUALITY_DROP"]),
                shift=float(environment["DRIFT_OUTCOME_SHIFT"]),
                window=environment["DRIFT_LABEL_WINDOW"],  # type: ignore[arg-type]  # the spec has one of these words
            ),
            labeller=(environment.get("DRIFT_LABELS_USER", ""), environment.get("DRIFT_LABELS_PASSWORD", "")),
        )
