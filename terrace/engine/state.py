"""Resources and deployments as Pulumi's checkpoint (version 3) has them."""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from terrace.engine.secrets import Crypter
from terrace.engine.values import decode, encode

ROOT_TYPE = "pulumi:pulumi:Stack"
PROVIDER_PREFIX = "pulumi:providers:"

# Python attribute → key in the checkpoint. What isn't listed is kept as it was found, in `Resource.extra`.
_FIELDS = {
    "urn": "urn",
    "custom": "custom",
    "delete": "delete",
    "id": "id",
    "type": "type",
    "parent": "parent",
    "protect": "protect",
    "external": "external",
    "dependencies": "dependencies",
    "init_errors": "initErrors",
    "provider": "provider",
    "property_dependencies": "propertyDependencies",
    "pending_replacement": "pendingReplacement",
    "additional_secret_outputs": "additionalSecretOutputs",
    "aliases": "aliases",
    "custom_timeouts": "customTimeouts",
    "import_id": "importID",
    "retain_on_delete": "retainOnDelete",
    "deleted_with": "deletedWith",
    "created": "created",
    "modified": "modified",
    "source_position": "sourcePosition",
    "ignore_changes": "ignoreChanges",
    "replace_on_changes": "replaceOnChanges",
}
_ALWAYS = {"urn", "custom", "type"}
_KNOWN = {*_FIELDS.values(), "inputs", "outputs"}


@dataclass(eq=False)
class Resource:
    """One resource in a state. Two are the same only if they are the same object."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    delete: bool = False
    parent: str = ""
    protect: bool = False
    external: bool = False
    dependencies: list[str] = field(default_factory=list)
    init_errors: list[str] = field(default_factory=list)
    provider: str = ""
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    pending_replacement: bool = False
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    import_id: str = ""
    retain_on_delete: bool = False
    deleted_with: str = ""
    created: str = ""
    modified: str = ""
    source_position: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The logical name."""
        return self.urn.split("::", 3)[-1]

    @property
    def provider_urn(self) -> str:
        """The URN of its provider, without the id that a reference ends with."""
        return self.provider.rpartition("::")[0]

    def references(self) -> Iterator[str]:
        """The URNs of everything that it needs, its parent apart."""
        yield from self.dependencies
        for urns in self.property_dependencies.values():
            yield from urns
        if self.deleted_with:
            yield self.deleted_with
        if self.provider:
            yield self.provider_urn

    def needs(self) -> Iterator[str]:
        """The URNs of everything that it needs, its parent among them."""
        if self.parent:
            yield self.parent
        yield from self.references()

    def to_json(self, crypter: Crypter) -> dict[str, Any]:
        """The resource as a checkpoint has it."""
        result: dict[str, Any] = dict(self.extra)
        for attribute, key in _FIELDS.items():
            value = getattr(self, attribute)
            if value or attribute in _ALWAYS:
                result[key] = value
        for key in ("inputs", "outputs"):
            if values := getattr(self, key):
                result[key] = encode(values, crypter)
        return result

    @classmethod
    def from_json(cls, raw: dict[str, Any], crypter: Crypter) -> Resource:
        """The inverse of `to_json`."""
        known = {attribute: raw[key] for attribute, key in _FIELDS.items() if key in raw}
        return cls(
            **known,
            inputs=decode(raw.get("inputs") or {}, crypter),
            outputs=decode(raw.get("outputs") or {}, crypter),
            extra={key: value for key, value in raw.items() if key not in _KNOWN},
        )

    def copy(self) -> Resource:
        """A shallow copy."""
        return dataclasses.replace(self)


@dataclass
class Deployment:
    """A stack's state.

    Attributes:
        resources: In an order in which everything comes after what it needs.
        pending: Operations that were begun and whose end nobody recorded: (``creating`` etc., the resource).
        extra: Parts of the deployment that are kept as they were found.
    """

    resources: list[Resource] = field(default_factory=list)
    pending: list[tuple[str, Resource]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def to_json(self, crypter: Crypter, version: str) -> dict[str, Any]:
        """The ``latest`` part of a checkpoint, written by engine ``version``."""
        result = dict(self.extra)
        result["manifest"] = {
            "time": now(),
            "magic": hashlib.sha256(version.encode()).hexdigest(),
            "version": version,
        }
        result["secrets_providers"] = {"type": "passphrase", "state": {"salt": crypter.salt}}
        result["metadata"] = {}
        if self.resources:
            result["resources"] = [resource.to_json(crypter) for resource in self.resources]
        if self.pending:
            result["pending_operations"] = [
                {"resource": resource.to_json(crypter), "type": kind} for kind, resource in self.pending
            ]
        return result

    @classmethod
    def from_json(cls, raw: dict[str, Any], crypter: Crypter) -> Deployment:
        """The inverse of `to_json`."""
        mine = {"manifest", "secrets_providers", "resources", "pending_operations", "metadata"}
        return cls(
            resources=[Resource.from_json(item, crypter) for item in raw.get("resources") or []],
            pending=[
                (item["type"], Resource.from_json(item["resource"], crypter))
                for item in raw.get("pending_operations") or []
            ],
            extra={key: value for key, value in raw.items() if key not in mine},
        )

    def problem(self) -> str:
        """What is wrong with it: something doesn't come after what it needs, or stands twice. Empty if all is well."""
        seen: set[str] = set()
        for resource in self.resources:
            missing = {resource.parent, *resource.references()} - seen - {""}
            if missing:
                return f"{resource.urn} needs {min(missing)}, which isn't before it"
            if resource.urn in seen and not resource.delete and self._is_live(resource.urn):
                return f"{resource.urn} stands in it twice"
            seen.add(resource.urn)
        return ""

    def _is_live(self, urn: str) -> bool:
        return sum(1 for resource in self.resources if resource.urn == urn and not resource.delete) > 1

    def root(self) -> Resource | None:
        """The stack's own resource."""
        return next((item for item in self.resources if item.type == ROOT_TYPE and not item.delete), None)


def make_urn(stack: str, project: str, parent: str, type_: str, name: str) -> str:
    """A resource's URN.

    Args:
        stack: The stack's name.
        project: The project's name.
        parent: The parent's URN, or empty.
        type_: The type token.
        name: The logical name.
    """
    parent_type = qualified_type(parent) if parent else ""
    if parent_type and parent_type != ROOT_TYPE:
        type_ = f"{parent_type}${type_}"
    return f"urn:pulumi:{stack}::{project}::{type_}::{name}"


def qualified_type(urn: str) -> str:
    """The type part of a URN, with the types of its parents."""
    parts = urn.split("::", 3)
    return parts[2] if len(parts) == 4 else ""


def type_of(urn: str) -> str:
    """The resource's own type."""
    return qualified_type(urn).rpartition("$")[2]


def package_of(type_: str) -> str:
    """The package whose provider handles a type."""
    return type_.partition(":")[0]


def name_of(urn: str) -> str:
    """The resource's logical name."""
    return urn.split("::", 3)[-1]


def is_default_provider(urn: str) -> bool:
    """Whether it is a provider that the engine made by itself."""
    name = name_of(urn)
    return type_of(urn).startswith(PROVIDER_PREFIX) and (name == "default" or name.startswith("default_"))


def now() -> str:
    """The current time as Pulumi writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
