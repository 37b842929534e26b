"""What the model is for: the use case that the platform's spec states, told to every project."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass

from flights.errors import SettingsError

VARIABLE = "TERRACE_USE_CASES"
FIELDS = ("goal", "kpi", "baseline", "owner", "sources", "risk_class", "intended_use")


@dataclass(frozen=True)
class UseCase:
    """A use case of the spec. A field that isn't stated is empty, and the model's card then lacks it."""

    name: str
    goal: str = ""
    kpi: str = ""
    baseline: str = ""
    owner: str = ""
    sources: tuple[Mapping[str, str], ...] = ()
    risk_class: str = ""
    intended_use: str = ""

    @classmethod
    def from_environment(cls, name: str) -> UseCase:
        """Read ``TERRACE_USE_CASES``; a use case that the spec doesn't have is empty but for its name.

        Raises:
            SettingsError: The variable holds something else than the platform writes.
        """
        try:
            stated = json.loads(os.environ.get(VARIABLE) or "{}").get(name, {})
            values = {field: stated[field] for field in FIELDS if field in stated}
            return cls(name, **{**values, "sources": tuple(values.get("sources", ()))})
        except (ValueError, AttributeError, TypeError) as error:
            raise SettingsError(
                "is not the platform's list of use cases",
                where=VARIABLE,
                why=str(error),
                fix="leave it to the platform",
            ) from error
