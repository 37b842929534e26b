"""What every project on the platform is told of it beside addresses and accounts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from terrace.resolve import Blueprint


def project_facts(blueprint: Blueprint) -> Mapping[str, str]:
    """Return environment variables: the environment's name, and the use cases as JSON, as the spec states them.

    A project makes its model's card and owner from its use case, so that they are written down once.
    """
    use_cases = {
        name: case.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for name, case in blueprint.spec.use_cases.items()
    }
    return {
        "TERRACE_ENVIRONMENT": blueprint.environment,
        "TERRACE_USE_CASES": json.dumps(use_cases, sort_keys=True, ensure_ascii=False),
    }
