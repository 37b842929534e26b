"""What the spec says of practices and rules: tiers, waivers, and what people state because no machine can see it."""

from __future__ import annotations

import datetime
import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from terrace.spec_base import Model


def _whole_number(value: Any) -> Any:
    """Refuse what Python would take for a number and people wouldn't: ``true``, and ``3_0`` as text."""
    if isinstance(value, bool) or (isinstance(value, str) and not re.fullmatch(r"-?\d+(\.\d+)?", value.strip())):
        raise PydanticCustomError("not_a_number", "it should be a number")
    return value


Tier = Annotated[
    int, Field(ge=1, le=5, description="How mature the team's ML practice is, 1 to 5."), BeforeValidator(_whole_number)
]

Practice = Literal[
    "ci_cd",
    "model_and_data_versioning",
    "pipeline_automation",
    "performance_monitoring",
    "experiment_management",
    "model_deployment",
    "lifecycle_management",
    "data_security_and_privacy",
    "explainability",
    "data_quality",
    "configuration_management",
    "deployment_strategies",
    "infrastructure_automation",
    "collaboration",
    "risk_and_compliance",
]


def _day(value: Any) -> Any:
    """Return a day's own text where the Pulumi CLI has rewritten the stack file, and gave it a time."""
    return value.removesuffix(" 00:00:00 +0000 UTC") if isinstance(value, str) else value


Day = Annotated[datetime.date, BeforeValidator(_day)]


class Waiver(Model):
    """A recorded exception that ends by itself."""

    reason: str = Field(min_length=10, description="Why the exception is needed.")
    owner: str = Field(min_length=1, description="A person or group of `team` who answers for it.")
    expires: Day = Field(description="The last day on which it holds, YYYY-MM-DD.")


class RuleWaiver(Waiver):
    """A recorded exception to a rule, for the resources that it names. An end that has passed is a violation itself."""

    rule: str = Field(min_length=1, description="The rule's id, as `terrace check` shows it.")
    resource: str = Field(
        min_length=1,
        description="The resource as `terrace check` shows it, slot/name; in the name, `*` stands for any text.",
    )


class PracticeLevel(Model):
    """A practice apart from the platform's tier."""

    tier: Tier
    waiver: Waiver | None = Field(None, description="Needed where the practice is below the platform's tier.")


class Statement(Model):
    """What an owner states of a cell of the tier table that no machine can see. It ends by itself."""

    practice: Practice = Field(description="The practice.")
    tier: Tier = Field(description="The cell's tier.")
    says: str = Field(min_length=10, description="What is stated.")
    owner: str = Field(min_length=1, description="The person or group of `team` that states it.")
    made: Day = Field(description="The day on which it was stated, YYYY-MM-DD.")
    expires: Day = Field(description="The last day on which it holds, YYYY-MM-DD.")
