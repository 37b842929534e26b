"""Spec + tier table → blueprint: every value decided, each with where it came from. A pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from terrace.catalog import Catalog
from terrace.errors import InputError, InputErrors, Location
from terrace.hosts import Host
from terrace.placement import link_ports, place
from terrace.rights import RightsTable
from terrace.spec import Network, PlatformSpec, Practice
from terrace.team import Member, members
from terrace.tiers import OriginKind, TierTable

if TYPE_CHECKING:
    from components.base import FlavorSpec
    from terrace.config import LoadedSpec


# Parts of the spec that belong to the whole platform and are decided as they stand.
GENERAL = tuple(name for name in PlatformSpec.model_fields if name not in ("tier", "target", "practices", "slots"))


@dataclass(frozen=True)
class Origin:
    """Where a value came from: the tier table, the target, the user's file (with its place), or a default."""

    kind: OriginKind
    detail: str
    where: Location | None = None


@dataclass(frozen=True)
class Blueprint:
    """A spec with every value decided.

    Args:
        slots: Slot → options of its flavor.
        practices: Practice → tier that is asked of it.
        origins: Dotted path of a value, as in ``tracking.workers`` → where it came from.
        places: Slot → name of the host that it is on.
    """

    environment: str
    spec: PlatformSpec
    slots: Mapping[str, FlavorSpec]
    practices: Mapping[Practice, int]
    origins: Mapping[str, Origin]
    places: Mapping[str, str]

    @property
    def name(self) -> str:
        """The platform's name."""
        return self.spec.name

    @property
    def tier(self) -> int:
        """The platform's tier."""
        return self.spec.tier

    @property
    def target(self) -> str:
        """Where the platform runs."""
        return self.spec.target

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The machines that it runs on; none where it runs on a cluster, whose machines are not its own."""
        return self.spec.hosts if self.target == "host" else ()

    def host_of(self, slot: str) -> Host:
        """Return the host that ``slot`` is on."""
        return next(host for host in self.hosts if host.name == self.places[slot])

    @property
    def network(self) -> Network:
        """What stands between the hosts and the package indexes."""
        return self.spec.network

    @property
    def ports(self) -> Mapping[str, int]:
        """Dotted path of each option that is a TCP port → its number."""
        return _ports(self.slots)

    @property
    def data_folders(self) -> tuple[str, ...]:
        """Where a host keeps data and secrets: the environment's folders, and those that options name."""
        named = (getattr(spec, "folder", None) for spec in self.slots.values())
        own = (f"{base}/{self.environment}" for base in ("/var/lib/terrace", "/etc/terrace"))
        return (*own, *(folder for folder in named if folder))

    @property
    def machines(self) -> Mapping[str, tuple[str, int]]:
        """Dotted path of each option that is a machine beyond the platform → its address and port."""
        options = ((f"{slot}.{name}", value) for slot, spec in self.slots.items() for name, value in spec)
        return {path: (value.address, value.port) for path, value in options if hasattr(value, "address")}

    @property
    def members(self) -> tuple[Member, ...]:
        """Everybody on the team, with what they may do in the slots that are there."""
        return members(self.spec.team, self.slots)

    @property
    def owners(self) -> Mapping[str, tuple[str, str]]:
        """Registered model → its use case and that one's owner."""
        return {
            model: (name, use_case.owner)
            for name, use_case in self.spec.use_cases.items()
            for model in use_case.models or (name,)
        }


def resolve(loaded: LoadedSpec, table: TierTable | None = None, catalog: Catalog | None = None) -> Blueprint:
    """Decide every value.

    Raises:
        InputErrors: A slot that the tier has, or that another flavor requires, has no flavor on the target; two
            options want the same port; or a person is called like an account of the platform's own.
    """
    resolver = _Resolver(loaded, table or TierTable.load(), catalog or Catalog())
    return resolver.resolve()


def _ports(slots: Mapping[str, FlavorSpec]) -> dict[str, int]:
    return {
        f"{slot}.{option}": value
        for slot, spec in slots.items()
        for option, value in spec.model_dump().items()
        if option == "port" or option.endswith("_port")
    }


class _Resolver:
    def __init__(self, loaded: LoadedSpec, table: TierTable, catalog: Catalog) -> None:
        self.loaded = loaded
        self.spec = loaded.spec
        self.table = table
        self.catalog = catalog
        self.errors: list[InputError] = []
        self.practices: dict[Practice, int] = {}
        self.origins: dict[str, Origin] = {
            "tier": self._written("terrace:tier"),
            "target": self._written("terrace:target"),
        }

    def resolve(self) -> Blueprint:
        self._find_origins()
        self._decide_practices()
        slots = {slot: spec for slot in self._wanted() if (spec := self._slot(slot)) is not None}
        self._check_target(slots)
        self._check_requirements(slots)
        self._check_ports(slots)
        self._check_people()
        self._check_statements()
        self._check_placed(slots)
        places = self._places(slots)
        if self.errors:
            raise InputErrors(self.errors)
        return Blueprint(self.loaded.environment, self.spec, slots, self.practices, self.origins, places)

    def _places(self, slots: Mapping[str, FlavorSpec]) -> dict[str, str]:
        if self.errors:
            return {}
        try:
            return place(slots, self.spec.hosts, self.table, self.catalog)
        except InputError as error:
            where = self.loaded.file.key(("config", "terrace:platform", "hosts"))
            self.errors.append(InputError(error.what, where=where, fix=error.fix))
            return {}

    def _find_origins(self) -> None:
        """Note where the values come from that no slot has."""
        platform = self.loaded.file.data["config"].get("terrace:platform") or {}
        for name in GENERAL:
            written = name in platform
            self.origins[name] = (
                self._written("terrace:platform", name) if written else Origin("default", "default of every platform")
            )

    def _decide_practices(self) -> None:
        for practice in get_args(Practice):
            self.practices[practice] = self.spec.tier_of(practice)
            own = practice in self.spec.practices
            self.origins[f"practices.{practice}"] = (
                self._written("terrace:platform", "practices", practice) if own else self._by_tier()
            )

    def _wanted(self) -> list[str]:
        rows = self.table.slots.items()
        by_practice = {slot for slot, row in rows if row.from_tier <= self.practices[row.practice]}
        return sorted(by_practice | set(self.spec.slots))

    def _slot(self, slot: str) -> FlavorSpec | None:
        written = self.spec.slots.get(slot)
        flavor = written.flavor if written else self._default(slot)
        if flavor is None or self.spec.target not in self.catalog.component(slot, flavor).supports:
            return None
        options = self._options(slot, flavor, written)
        return self.catalog.spec_type(slot, flavor).model_validate(options)

    def _options(self, slot: str, flavor: str, written: FlavorSpec | None) -> dict[str, Any]:
        """Return the flavor's options: what the user wrote, else what the tier sets, else the flavor's default."""
        options: dict[str, Any] = {}
        settings = self.table.settings(slot, self.practices) if flavor == self._default(slot) else {}
        for option, field in self.catalog.spec_type(slot, flavor).model_fields.items():
            path = f"{slot}.{option}"
            if written and option in written.model_fields_set:
                options[option] = getattr(written, option)
                self.origins[path] = self._written("terrace:platform", slot, option)
            elif option == "flavor":
                options[option] = flavor
            elif option in settings:
                options[option], level = settings[option]
                self.origins[path] = Origin("tier", f"tier {level} sets it")
            else:
                options[option] = field.get_default(call_default_factory=True)
                self.origins[path] = Origin("default", f"default of {slot}/{flavor}")
        if not written or "flavor" not in self.loaded.file.data["config"]["terrace:platform"][slot]:
            self.origins[f"{slot}.flavor"] = self._by_default(slot, flavor)
        return options

    def _check_target(self, slots: Mapping[str, FlavorSpec]) -> None:
        lacking = [slot for slot in self._wanted() if slot not in slots]
        if lacking:
            what = (
                f"terrace:target: {self.spec.target!r} has no flavor yet of what tier {self.spec.tier} or the file asks"
            )
            where = self.loaded.file.value(("config", "terrace:target"))
            self.errors.append(InputError(f"{what}: {', '.join(lacking)}", where=where, fix="Choose target `host`."))

    def _check_requirements(self, slots: Mapping[str, FlavorSpec]) -> None:
        for slot, spec in slots.items():
            for required in self.catalog.component(slot, spec.flavor).requires:
                if required not in self._wanted():
                    where = self.loaded.file.key(("config", "terrace:platform", slot))
                    what = f"{slot}.flavor {spec.flavor!r} requires the slot {required!r}, which this platform lacks"
                    fix = f"Add `{required}: {{flavor: …}}` to terrace:platform."
                    self.errors.append(InputError(what, where=where, fix=fix))

    def _check_ports(self, slots: Mapping[str, FlavorSpec]) -> None:
        # Who wrote a port can change it.
        ports = sorted(_ports(slots).items(), key=lambda port: self.origins[port[0]].kind == "written")
        taken: dict[int, str] = {}
        for path, number in ports:
            if number in taken:
                where = self.loaded.file.value(("config", "terrace:platform", *path.split(".")))
                self.errors.append(InputError(f"{path}: port {number} is {taken[number]}'s already", where=where))
            taken.setdefault(number, path)
        for path, number in link_ports(self.spec).items():
            if number in taken:
                where = self.loaded.file.key(("config", "terrace:platform", "hosts"))
                what = f"network.link_port: port {number}, of {path}, is {taken[number]}'s already"
                self.errors.append(InputError(what, where=where))

    def _check_people(self) -> None:
        reserved = RightsTable.load().reserved
        for name in self.spec.team.people:
            if name in reserved:
                where = self.loaded.file.key(("config", "terrace:platform", "team", "people", name))
                what = f"team.people: {name!r} is the name of an account of the platform's own"
                fix = f"Call the person something else ({', '.join(reserved)} are taken)."
                self.errors.append(InputError(what, where=where, fix=fix))

    def _check_statements(self) -> None:
        for index, statement in enumerate(self.spec.statements):
            if not self.table.practices[statement.practice].cells[statement.tier].organisational:
                where = self.loaded.file.value(("config", "terrace:platform", "statements", index, "tier"))
                what = (
                    f"statements.{index}: {statement.practice} at tier {statement.tier} is shown by tests, not stated"
                )
                self.errors.append(
                    InputError(what, where=where, fix="Remove it; `terrace explain` says what is to be stated.")
                )

    def _check_placed(self, slots: Mapping[str, FlavorSpec]) -> None:
        for slot in self.spec.kubernetes.placed:
            if slot not in slots:
                where = self.loaded.file.key(("config", "terrace:platform", "kubernetes", "placed", slot))
                what = f"kubernetes.placed: this platform has no slot {slot!r}"
                self.errors.append(InputError(what, where=where, fix=f"It has {', '.join(sorted(slots))}."))

    def _default(self, slot: str) -> str | None:
        return self.table.default_flavor(slot, self.spec.target, self.spec.tier_of)

    def _by_default(self, slot: str, flavor: str) -> Origin:
        default = f"default on target {self.spec.target}"
        by_tier = self.table.slots[slot].flavors[self.spec.target]
        if len(by_tier) == 1:
            return Origin("target", default)
        return Origin("tier", f"{default} from tier {next(tier for tier, name in by_tier.items() if name == flavor)}")

    def _by_tier(self) -> Origin:
        return Origin("tier", f"tier {self.spec.tier}")

    def _written(self, *path: str) -> Origin:
        return Origin("written", "stack file", self.loaded.file.value(("config", *path)))
