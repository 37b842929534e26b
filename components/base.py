"""What every flavor is made of: its spec's base class, its component's base class, and what it is built with."""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import urlsplit

import pulumi
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from terrace.targets import Target
from terrace.team import Member
from terrace.workload import Artifact

SpecT = TypeVar("SpecT", bound="FlavorSpec")
OutputsT = TypeVar("OutputsT", bound="SlotOutputs")
TargetT = TypeVar("TargetT", bound=Target)
ContractT = TypeVar("ContractT", bound="SlotOutputs")


class FlavorSpec(BaseModel):
    """The options of one flavor. Each subclass sets ``flavor: Literal["<name>"] = "<name>"``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flavor: str

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation in (int, float):
            raise PydanticCustomError("not_a_number", "it should be a number")
        return value


@dataclass(frozen=True)
class Account:
    """A user name and its password, a secret."""

    user: str
    password: pulumi.Output[str]


@dataclass(frozen=True)
class PersonAccount(Account):
    """The account of a person of the team: one name and password for all slots, and what they may do there.

    The password is random and 192 bits long. A slot keeps a salted hash of it, never the password; that hash may be a
    fast one, because nobody can search for what it's made of.
    """

    member: Member


def salted_hash(slot: str, user: str, password: str) -> dict[str, str]:
    """Return the salted hash that a slot keeps of a person's password, the same for the same password."""
    salt = hashlib.sha256(f"{slot}:{user}:{password}".encode()).hexdigest()[:16]
    return {"salt": salt, "digest": hashlib.sha256(f"{salt}:{password}".encode()).hexdigest()}


class ReplicatedSpec(FlavorSpec):
    """The options of a flavor whose service keeps nothing in its pod."""

    replicas: int = Field(1, ge=1, le=20, description="Pods that answer requests, on Kubernetes.")


@dataclass(frozen=True)
class SlotOutputs:
    """What a slot gives to the slots that require it; each slot has a subclass."""

    def ports(self) -> tuple[int, ...]:
        """Return the ports, not public ones, that who is given these outputs connects to."""
        return ()

    def endpoints(self) -> Mapping[str, pulumi.Input[str]]:
        """Addresses that people and programs use, by service name."""
        return {}

    def connection(self) -> Mapping[str, pulumi.Input[str]]:
        """Environment variables that connect a project to this slot; secrets are Pulumi secrets."""
        return {}

    def credentials(self) -> Mapping[str, Account]:
        """Accounts of people, by service name."""
        return {}

    def public_keys(self) -> Mapping[str, pulumi.Input[str]]:
        """Lines for the ``authorized_keys`` of machines that aren't the platform's, by service name."""
        return {}


def ports_of(url: str) -> tuple[int, ...]:
    """Return the port that an address names, if it names one."""
    port = urlsplit(url).port
    return (port,) if port else ()


class Component(pulumi.ComponentResource, abc.ABC, Generic[SpecT, OutputsT]):
    """A flavor's component resource.

    Subclasses name their type token, their spec, the slots they require, the slots they use where the blueprint
    has them, those of all these whose ports they connect to where it isn't all, the slot whose host they must be on
    (``beside``: they share files), the software whose version is theirs (``artifact``), the service of theirs that
    tells the audit log (``tells_audit``), and the targets they support, and write :meth:`build`.
    """

    token: ClassVar[str]
    spec_type: ClassVar[type[FlavorSpec]]
    requires: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    connects: ClassVar[tuple[str, ...] | None] = None
    beside: ClassVar[str] = ""
    artifact: ClassVar[Artifact] = Artifact()
    tells_audit: ClassVar[str] = ""
    supports: ClassVar[tuple[str, ...]]

    def __init__(self, spec: SpecT, target: Target, inputs: Inputs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(self.token, spec.flavor, None, opts)
        self.target = target
        self.outputs: OutputsT = self.build(spec, inputs)
        self.register_outputs(dict(self.outputs.endpoints()))

    def on(self, kind: type[TargetT]) -> TargetT:
        """Return the target as the kind that the flavor supports.

        Raises:
            TypeError: The blueprint put the flavor on a target that it does not support (a defect of Terrace).
        """
        if not isinstance(self.target, kind):
            raise TypeError(f"{self.token} does not run on {self.target.name}")
        return self.target

    @abc.abstractmethod
    def build(self, spec: SpecT, inputs: Inputs) -> OutputsT:
        """Declare the flavor's resources and return what its slot promises."""


class Inputs:
    """What a component is built from.

    Attributes:
        people: Everybody on the team who has a right in some slot, in alphabetical order.
        owners: Registered model → its use case and that one's owner.

    Its methods return the outputs of the slots that the component requires or uses.
    """

    def __init__(
        self,
        outputs: Mapping[str, SlotOutputs],
        people: Iterable[PersonAccount] = (),
        owners: Mapping[str, tuple[str, str]] | None = None,
    ) -> None:
        self._outputs = outputs
        self.people = tuple(people)
        self.owners = dict(owners or {})

    def of(self, slot: str, contract: type[ContractT]) -> ContractT:
        """Return the outputs of ``slot`` as its contract's type.

        Raises:
            TypeError: The slot's flavor does not keep the contract (a defect of that flavor).
        """
        outputs: Any = self._outputs[slot]
        if not isinstance(outputs, contract):
            raise TypeError(f"{slot} gives {type(outputs).__name__}, not {contract.__name__}")
        return outputs

    def optional(self, slot: str, contract: type[ContractT]) -> ContractT | None:
        """Return the outputs of ``slot`` as its contract's type, or None where the blueprint has no such slot.

        Raises:
            TypeError: The slot's flavor does not keep the contract (a defect of that flavor).
        """
        return self.of(slot, contract) if slot in self._outputs else None

    def all(self) -> Iterable[SlotOutputs]:
        """Return the outputs of every slot that is there."""
        return self._outputs.values()
