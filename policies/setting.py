"""What of a stack's configuration decides about rules, and nothing else of it: secrets in there are not kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, Field

from terrace.spec import Practice, Profile, UseCase
from terrace.spec_base import Model, Name
from terrace.spec_practices import PracticeLevel, RuleWaiver, Tier


class Setting(Model):
    """What rules are told of the environment."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    environment: str = Field(description="The stack's name.")
    tier: Tier
    target: str
    compliance: tuple[Profile, ...] = ()
    practices: Mapping[Practice, PracticeLevel] = Field(default_factory=dict)
    use_cases: Mapping[Name, UseCase] = Field(default_factory=dict)
    waivers: tuple[RuleWaiver, ...] = ()

    @classmethod
    def of_config(cls, environment: str, config: Mapping[str, str]) -> Setting:
        """Return the setting that a stack's configuration holds, values as Pulumi hands them to a program.

        Raises:
            pydantic.ValidationError: It isn't the configuration of a platform.
        """
        platform: Any = json.loads(config.get("terrace:platform") or "{}")
        known = platform if isinstance(platform, dict) else {}
        own = {name: config[f"terrace:{name}"] for name in ("tier", "target") if f"terrace:{name}" in config}
        return cls.model_validate({**known, **own, "environment": environment})

    def tier_of(self, practice: Practice) -> int:
        """Return the tier that is asked of a practice."""
        level = self.practices.get(practice)
        return level.tier if level else self.tier

    @property
    def strictness(self) -> int:
        """The tier whose rules are mandatory."""
        return self.tier_of("risk_and_compliance")
