"""M14: personal data is encrypted, and goes after a time; copies in backups, which go by number, aren't looked at."""

from __future__ import annotations

from collections.abc import Iterator

from policies.resource import Resource, is_host, is_platform
from policies.rule import Rule, Violation
from policies.setting import Setting
from policies.stack import Stack, kept_days


def _of(resource: Resource) -> bool:
    return is_platform(resource) or is_host(resource) or _keeps_predictions(resource)


def _keeps_predictions(resource: Resource) -> bool:
    return resource.role == "postgres_database" and resource.slot == "serving"


def _check(resource: Resource, stack: Stack) -> Iterator[Violation]:
    sources = dict(_personal(stack.setting))
    if is_platform(resource):
        for path, days in sources.items():
            if days is None:
                yield Violation(f"{path}.keep_days", "nobody says for how long this personal data may be kept")
    elif is_host(resource):
        if sources and not stack.role_on(resource.host, "encrypted_data"):
            yield Violation("host", "personal data may lie here in the clear")
    else:
        limit = min((days for days in sources.values() if days), default=None)
        if limit and max(kept_days(resource), default=0) > limit:
            path = "variables.postgres_database_schema"
            yield Violation(path, f"predictions are kept for longer than the {limit} days of their personal data")


def _personal(setting: Setting) -> Iterator[tuple[str, int | None]]:
    """Yield where each source of personal data stands in the spec, and for how many days it may be kept."""
    for name, case in setting.use_cases.items():
        for number, source in enumerate(case.sources):
            if source.data_class == "pii":
                yield f"use_cases.{name}.sources[{number}]", source.keep_days


RULE = Rule(
    id="M14",
    title="personal data is encrypted and goes in time",
    why="Personal data that lies about for good is what leaks, and what nobody may keep.",
    severity="critical",
    from_tier=3,
    controls={"gdpr": ("5(1)(e)", "25", "32"), "iso27001": ("5.34", "8.10")},
    fix="`keep_days` of the source, `serving.predictions_days` below it, `hosts: [{configure: {encrypted_data: {}}}]`; "
    "how long backups hold it, `backup.keep_*`, this rule doesn't see",
    of=_of,
    check=_check,
    whole_stack=True,
)
