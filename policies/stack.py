"""A whole stack as rules see it. What several rules ask of it is found once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from policies.cluster import is_workload
from policies.resource import Resource, is_component, is_service, runs_role, service_of
from policies.values import UNKNOWN

if TYPE_CHECKING:
    import datetime

    from policies.setting import Setting

GENERATED = ("terrace:Password", "terrace:CertificateAuthority", "terrace:SshKey")
ALERT = re.compile(r"^\s*- alert: (\w+)", re.MULTILINE)


@dataclass(frozen=True)
class Stack:
    """All resources that a rule may look at.

    Args:
        resources: The whole stack; for a rule that needs no others, the resource alone.
        setting: What of the stack's configuration matters.
        today: The day on which the rules are asked.
        idle: Numbers of the waivers that no finding needed; known to the rule about waivers alone.

    What is asked of it raises `UndeterminedError` where it needs a resource that isn't known yet.
    """

    resources: tuple[Resource, ...]
    setting: Setting
    today: datetime.date
    idle: frozenset[int] = frozenset()

    def having(self, fits: Callable[[Resource], bool]) -> Iterator[Resource]:
        """Yield the resources that ``fits`` says yes to."""
        return filter(fits, self.resources)

    @cached_property
    def workloads(self) -> tuple[Resource, ...]:
        """What has pods in a cluster."""
        return tuple(self.having(is_workload))

    @cached_property
    def slots(self) -> frozenset[str]:
        """The slots that have a component."""
        return frozenset(resource.slot for resource in self.having(is_component))

    def role_on(self, host: str, role: str) -> Resource | None:
        """Return the resource that runs a role on a host; of several, one."""
        return self._roles.get((host, role))

    @cached_property
    def _roles(self) -> dict[tuple[str, str], Resource]:
        return {(resource.host, resource.role): resource for resource in self.resources if resource.role}

    @cached_property
    def ports(self) -> dict[str, set[float]]:
        """Host → the ports that services listen on there, but for those of the entrance."""
        found: dict[str, set[float]] = {}
        for each in self.having(is_service):
            if each.slot != "gateway":
                numbers = (port.number for port in each.variables["service_ports"])
                found.setdefault(each.host, set()).update(number for number in numbers if number is not None)
        return found

    @cached_property
    def users(self) -> Counter[tuple[str, str]]:
        """How many services run as the user of which service, (host, service); of those that are known."""
        known = self.having(lambda each: is_service(each) and each.properties.get("variables") is not UNKNOWN)
        return Counter((each.host, each.variables["service_name"].text) for each in known)

    @cached_property
    def announced(self) -> frozenset[tuple[str, str]]:
        """What other hosts are told of which service: (service, variable), such as its metrics."""
        return frozenset(
            (each.variables["service_name"].text, part)
            for each in self.having(runs_role("announcement"))
            for part, value in each.variables.items()
            if value.is_there
        )

    @cached_property
    def generated(self) -> frozenset[str]:
        """Every password and key that the program makes."""
        made = self.having(lambda each: each.kind in GENERATED)
        held = (each.properties.get(name) for each in made for name in ("value", "key"))
        return frozenset(text for text in held if isinstance(text, str) and text)

    @cached_property
    def alerts(self) -> frozenset[str]:
        """The alerts that monitoring raises."""
        files = (each.file("rules.yaml") for each in self.having(service_of("monitoring")))
        return frozenset(name for file in files for name in ALERT.findall(file.text))

    def told(self, slot: str, variable: str) -> frozenset[str]:
        """Return the words, separated by commas, of a variable of a slot's services."""
        if (slot, variable) not in self._told:
            texts = (each.variable(variable).text for each in self.having(service_of(slot)))
            self._told[slot, variable] = frozenset(word for text in texts for word in text.split(",")) - {""}
        return self._told[slot, variable]

    @cached_property
    def _told(self) -> dict[tuple[str, str], frozenset[str]]:
        return {}

    def measures(self, service: Resource) -> bool:
        """Tell whether monitoring asks a service for its metrics.

        Another host knows it by its name, or as its resource is called where every host has such a service.
        """
        names = (service.variables["service_name"].text, service.name)
        return service.variables["service_metrics"].is_there or any(
            (name, "service_metrics") in self.announced for name in names
        )

    @cached_property
    def kept_days(self) -> int | None:
        """For how many days served predictions are kept; None where nothing says so."""
        databases = self.having(lambda each: each.role == "postgres_database" and each.slot == "serving")
        return min((days for each in databases for days in kept_days(each)), default=None)


def kept_days(resource: Resource) -> list[int]:
    """Return for how many days a database of served predictions keeps them: none where it isn't one."""
    schema = resource.variables["postgres_database_schema"].text
    return [int(days) for days in re.findall(r"interval '(\d{1,6}) days'", schema)]
