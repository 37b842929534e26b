"""A whole stack as rules see it. What several rules ask of it is found once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from policies.resource import Resource, is_component, is_service
from policies.values import UNKNOWN

if TYPE_CHECKING:
    import datetime

    from policies.setting import Setting

ALERT = re.compile(r"^\s*- alert: (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Stack:
    """All resources that a rule may look at.

    Args:
        resources: The whole stack; for a rule that needs no others, the resource alone.
        setting: What of the stack's configuration matters.
        today: The day on which the rules are asked.
        idle: Numbers of the waivers that no finding needed; known to the rule about waivers alone.

    Its attributes leave out what isn't known yet of other resources: a rule about these says so.
    """

    resources: tuple[Resource, ...]
    setting: Setting
    today: datetime.date
    idle: frozenset[int] = frozenset()

    def having(self, fits: Callable[[Resource], bool]) -> Iterator[Resource]:
        """Yield the resources that ``fits`` says yes to."""
        return filter(fits, self.resources)

    @cached_property
    def slots(self) -> frozenset[str]:
        """The slots that have a component."""
        return frozenset(resource.slot for resource in self.having(is_component))

    @cached_property
    def services(self) -> tuple[Resource, ...]:
        """The services whose variables are known."""
        return tuple(self.having(lambda each: is_service(each) and each.properties.get("variables") is not UNKNOWN))

    @cached_property
    def roles(self) -> frozenset[tuple[str, str]]:
        """Which host runs which role: (host, role)."""
        return frozenset((resource.host, resource.role) for resource in self.resources if resource.role)

    @cached_property
    def users(self) -> Counter[tuple[str, str]]:
        """How many services run as the user of which service: (host, service)."""
        return Counter((each.host, each.variables["service_name"].text) for each in self.services)

    @cached_property
    def announced(self) -> frozenset[tuple[str, str]]:
        """What other hosts are told of which service: (service, variable), such as its metrics."""
        told = self.having(lambda each: each.role == "announcement" and each.properties.get("variables") is not UNKNOWN)
        return frozenset(
            (each.variables["service_name"].text, part)
            for each in told
            for part, value in each.variables.items()
            if value.is_there
        )

    @cached_property
    def generated(self) -> frozenset[str]:
        """Every password and key that the program makes."""
        made = self.having(lambda each: each.kind in ("terrace:Password", "terrace:CertificateAuthority"))
        held = (each.properties.get(name) for each in made for name in ("value", "key"))
        return frozenset(text for text in held if isinstance(text, str) and text)

    @cached_property
    def alerts(self) -> frozenset[str]:
        """The alerts that monitoring raises."""
        files = (each.file("rules.yaml") for each in self.services if each.slot == "monitoring")
        return frozenset(name for file in files for name in ALERT.findall(file.text))

    def told(self, slot: str, variable: str) -> frozenset[str]:
        """Return the words, separated by commas, of a variable of a slot's services."""
        if (slot, variable) not in self._told:
            texts = (each.variable(variable).text for each in self.services if each.slot == slot)
            self._told[slot, variable] = frozenset(word for text in texts for word in text.split(",")) - {""}
        return self._told[slot, variable]

    @cached_property
    def _told(self) -> dict[tuple[str, str], frozenset[str]]:
        return {}

    def measures(self, service: Resource) -> bool:
        """Tell whether monitoring asks a service for its metrics."""
        name = service.variables["service_name"].text
        return service.variables["service_metrics"].is_there or (name, "service_metrics") in self.announced

    @cached_property
    def kept_days(self) -> int | None:
        """For how many days served predictions are kept; None where nothing says so.

        Raises:
            UndeterminedError: A database of them isn't known yet.
        """
        databases = self.having(lambda each: each.role == "postgres_database" and each.slot == "serving")
        return min((days for each in databases for days in kept_days(each)), default=None)


def kept_days(resource: Resource) -> list[int]:
    """Return for how many days a database of served predictions keeps them: none where it isn't one."""
    schema = resource.variables["postgres_database_schema"].text
    return [int(days) for days in re.findall(r"interval '(\d{1,6}) days'", schema)]
