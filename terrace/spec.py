"""What a user may write in a stack file. Plain data: nothing here imports Pulumi or touches a machine."""

from __future__ import annotations

import datetime
import itertools
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from terrace.hosts import Host, host_problems
from terrace.notify import Notify
from terrace.spec_base import PROBLEMS, ImageRegistry, Model, Name, Problem, SecretReference, UrlOrSecret, refuse
from terrace.spec_host import PublicKey
from terrace.spec_kubernetes import Kubernetes
from terrace.spec_practices import Practice, PracticeLevel, RuleWaiver, Statement, Tier

__all__ = ["PROBLEMS", "Model", "Name", "PlatformSpec", "Practice", "Problem", "SecretReference", "Tier"]

LONGEST_ENVIRONMENT = 12  # terrace-<environment>-<service> names a user, which Linux limits to 32
LONGEST_NAMESPACE = 63
COMPUTING = ("pipelines", "serving", "workbench")  # slots where a process may have accelerators

# The first seven: Kreuzberger et al.; the rest are added by other reviews.
Role = Literal[
    "business_stakeholder",
    "solution_architect",
    "data_scientist",
    "data_engineer",
    "software_engineer",
    "devops_engineer",
    "ml_engineer",
    "domain_specialist",
    "computational_scientist",
    "ml_scientist",
    "provenance_specialist",
    "labelling_expert",
    "manager",
    "application_developer",
    "deployment_lead",
]

DataClass = Literal["public", "internal", "confidential", "pii"]
RiskClass = Literal["minimal", "limited", "high"]
Profile = Literal["soc2", "gdpr", "hipaa", "iso27001", "eu_ai_act", "nist_ai_rmf"]


class Person(Model):
    """Somebody on the team."""

    email: str | None = Field(None, pattern=r"^[^@\s]+@[^@\s]+$", description="Where notices go.")
    roles: tuple[Role, ...] = Field((), description="Roles of this person alone, beside those of the groups.")
    ssh_keys: tuple[PublicKey, ...] = Field((), description="Public keys, for who is an admin of a host.")


class Group(Model):
    """People who share roles."""

    roles: tuple[Role, ...] = Field(min_length=1, description="What its members do.")
    members: tuple[Name, ...] = Field((), description="Names of `team.people`.")


class Team(Model):
    """Who works with the platform."""

    people: Mapping[Name, Person] = Field(default_factory=dict, description="People by account name.")
    groups: Mapping[Name, Group] = Field(default_factory=dict, description="Groups by name.")

    def members(self, name: str) -> tuple[str, ...]:
        """Return the people whom ``name``, a person or a group, stands for."""
        if name in self.people:
            return (name,)
        return self.groups[name].members if name in self.groups else ()

    @model_validator(mode="after")
    def _members_exist(self) -> Self:
        refuse(
            [
                Problem(("groups", name, "members"), f"{member!r} is not in team.people")
                for name, group in self.groups.items()
                for member in group.members
                if member not in self.people
            ]
        )
        return self


class DataSource(Model):
    """Where a use case's data comes from."""

    name: str = Field(min_length=1)
    data_class: DataClass = Field(alias="class", description="How sensitive the data is.")
    columns: tuple[str, ...] = Field(
        (), description="Inputs of the models that come from it; without, every input that no source names."
    )
    owner: Name | None = Field(
        None, description="A person or group of `team` who answers for the data; without, the use case's owner."
    )
    keep_days: int | None = Field(None, ge=1, description="For how many days it may be kept; without, no limit.")


class UseCase(Model):
    """What a model is for; the practice «lifecycle management» starts with it."""

    goal: str = Field(min_length=10, description="What is to get better for whom.")
    kpi: str = Field(min_length=1, description="The figure that shows it.")
    baseline: str = Field(min_length=1, description="What is reached without the model.")
    owner: Name = Field(description="A person or group of `team`; owns the models, too.")
    sources: tuple[DataSource, ...] = Field(min_length=1, description="The data that it uses.")
    risk_class: RiskClass = Field(description="As the EU AI Act classes the use.")
    models: tuple[str, ...] = Field(
        (), description="Registered models that serve it; without, the one called like the use case."
    )
    intended_use: str = Field(min_length=10, description="What the predictions may be used for, and what not.")


class Network(Model):
    """What stands between the platform and what it downloads. No error shows addresses that may hold accounts."""

    proxy: UrlOrSecret | None = Field(None, repr=False, description="HTTP proxy for downloads.")
    package_index: UrlOrSecret | None = Field(None, repr=False, description="A PEP 503 index instead of PyPI.")
    image_registry: ImageRegistry | None = Field(
        None, description="A registry, with a path in it, that has a copy of every container image; not for hosts."
    )
    link_port: int = Field(
        15200,
        ge=1024,
        le=65000,
        description="With several hosts: the first of the TCP ports, three for each host, that tell on loopback how "
        "the host, its links to the others, and its backups are.",
    )


class Running(Model):
    """What an operation must know that doesn't run the program: enough to look at a platform, or to remove it."""

    engine: Literal["embedded", "pulumi"] = Field("embedded", description="What `terrace` deploys with.")
    backend: str | None = Field(None, pattern=r"^file://", description="Where the state is kept.")


class PlatformSpec(Running):
    """One environment's platform as the user wrote it."""

    tier: Tier
    target: Literal["host", "kubernetes", "aws"] = Field(description="Where the platform runs.")
    name: Name = Field("platform", description="The platform's name.")
    hosts: tuple[Host, ...] = Field((Host(),), min_length=1, description="The machines that it runs on.")
    kubernetes: Kubernetes = Field(Kubernetes(), description="The cluster that it runs on, with target `kubernetes`.")
    team: Team = Field(Team(), description="Who works with it.")
    use_cases: Mapping[Name, UseCase] = Field(default_factory=dict, description="What its models are for.")
    practices: Mapping[Practice, PracticeLevel] = Field(
        default_factory=dict, description="Practices raised above, or by a waiver lowered below, the tier."
    )
    statements: tuple[Statement, ...] = Field((), description="What owners state because no machine can see it.")
    notify: Notify | None = Field(None, description="Whom alerts reach; without it they stay on Alertmanager's page.")
    compliance: tuple[Profile, ...] = Field((), description="Frameworks whose rules are mandatory at any tier.")
    waivers: tuple[RuleWaiver, ...] = Field((), description="Exceptions to rules; `terrace check` reports each.")
    network: Network = Field(Network(), description="Proxy, private package index, registry.")
    # For each slot that the user wrote, its flavor's options; `model_fields_set` of these tells which were written.
    slots: Mapping[str, Any] = Field(default_factory=dict, exclude=True)

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        mine = (self._unknown_owners(), self._shared_models(), self._unwaived(), self._misstated())
        more = (self._admins_without_access(), self._of_cluster(), self._of_another_target())
        refuse([*host_problems(self.hosts), *itertools.chain(*mine, *more)])
        return self

    def tier_of(self, practice: Practice) -> Tier:
        """Return the tier that is asked of a practice: its own, or the platform's."""
        level = self.practices.get(practice)
        return level.tier if level else self.tier

    def _unknown_owners(self) -> Iterator[Problem]:
        known = {*self.team.people, *self.team.groups}
        owners: dict[tuple[str | int, ...], str] = {
            ("use_cases", name, "owner"): use_case.owner for name, use_case in self.use_cases.items()
        }
        owners |= {
            ("use_cases", name, "sources", number, "owner"): source.owner
            for name, use_case in self.use_cases.items()
            for number, source in enumerate(use_case.sources)
            if source.owner
        }
        for name, level in self.practices.items():
            if level.waiver:
                owners["practices", name, "waiver", "owner"] = level.waiver.owner
        for part in ("statements", "waivers"):
            owners |= {(part, index, "owner"): each.owner for index, each in enumerate(getattr(self, part))}
        for path, owner in owners.items():
            if owner not in known:
                listed = f"known: {', '.join(sorted(known))}" if known else "terrace:platform has no team"
                yield Problem(path, f"{owner!r} is neither a person nor a group of team ({listed})")

    def _shared_models(self) -> Iterator[Problem]:
        owned: dict[str, str] = {}
        for name, use_case in self.use_cases.items():
            for model in use_case.models or (name,):
                if owned.setdefault(model, name) != name:
                    yield Problem(("use_cases", name, "models"), f"{model!r} is a model of {owned[model]} already")

    def _unwaived(self) -> Iterator[Problem]:
        today = datetime.datetime.now(datetime.UTC).date()
        for name, level in self.practices.items():
            if level.tier >= self.tier:
                continue
            if level.waiver is None:
                below = f"{level.tier} is below the platform's tier {self.tier}"
                yield Problem(("practices", name, "tier"), f"{below}, which needs a waiver (reason, owner, expires)")
            elif level.waiver.expires < today:
                yield Problem(("practices", name, "waiver", "expires"), f"the waiver ended on {level.waiver.expires}")

    def _misstated(self) -> Iterator[Problem]:
        today = datetime.datetime.now(datetime.UTC).date()
        seen: set[tuple[str, int]] = set()
        for index, statement in enumerate(self.statements):
            cell = (statement.practice, statement.tier)
            if cell in seen:
                yield Problem(("statements", index), f"{cell[0]} at tier {cell[1]} has a statement already")
            seen.add(cell)
            if statement.made > today:
                yield Problem(("statements", index, "made"), f"{statement.made} is still to come")
            if statement.expires <= statement.made:
                yield Problem(("statements", index, "expires"), f"it should be after {statement.made}")

    def _admins_without_access(self) -> Iterator[Problem]:
        for number, host in enumerate(self.hosts):
            for name in host.configure.users.admins if host.configure.users else ():
                path = ("hosts", number, "configure", "users", "admins")
                if name not in self.team.people and name not in self.team.groups:
                    yield Problem(path, f"{name!r} is neither a person nor a group of team")
                for person in self.team.members(name):
                    if not self.team.people[person].ssh_keys:
                        yield Problem(path, f"{person!r} has no ssh_keys in team.people, and could not log in")

    def _of_cluster(self) -> Iterator[Problem]:
        pools = self.kubernetes.pools
        for slot, placed in self.kubernetes.placed.items():
            if placed.pool and placed.pool not in pools:
                known = f"known: {', '.join(sorted(pools))}" if pools else "there are none"
                yield Problem(("kubernetes", "placed", slot, "pool"), f"{placed.pool!r} is no pool ({known})")
            if placed.accelerators and slot not in COMPUTING:
                why = f"nothing computes in {slot}; only in {', '.join(COMPUTING)}"
                yield Problem(("kubernetes", "placed", slot, "accelerators"), why)
        platforms = len(self.kubernetes.namespace or f"{self.name}-{'e' * LONGEST_ENVIRONMENT}")
        for name in self.kubernetes.teams:
            path = ("kubernetes", "teams", name)
            if name not in self.team.groups:
                listed = f"known: {', '.join(sorted(self.team.groups))}" if self.team.groups else "there are none"
                yield Problem(path, f"it is no group of team.groups ({listed})")
            elif name.endswith("-"):
                yield Problem(path, "the name of a namespace ends with a letter or a digit")
            elif (length := platforms + len("-team-") + len(name)) > LONGEST_NAMESPACE:
                why = f"with the platform's it would have {length} characters, of {LONGEST_NAMESPACE} that it may have"
                yield Problem(path, f"{why}; set kubernetes.namespace to a shorter name")

    def _of_another_target(self) -> Iterator[Problem]:
        if self.target == "host":
            if self.network.image_registry:
                yield Problem(("network", "image_registry"), "target 'host' pulls no images; leave it out")
            if "kubernetes" in self.model_fields_set:
                yield Problem(("kubernetes",), "target 'host' needs no cluster; leave it out")
        elif "hosts" in self.model_fields_set:
            yield Problem(("hosts",), f"target {self.target!r} configures no machines; leave it out")
