"""What a program asks for: a registration request of the Pulumi SDK, in this package's terms."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from terrace.engine.dynamic import PACKAGE as DYNAMIC
from terrace.engine.errors import UnsupportedError
from terrace.engine.state import PROVIDER_PREFIX, Resource
from terrace.engine.values import from_wire

_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


@dataclass(frozen=True)
class Alias:
    """A name that a resource had before: a whole URN, or the parts in which it differed."""

    urn: str = ""
    name: str = ""
    type: str = ""
    parent: str = ""
    no_parent: bool = False
    project: str = ""
    stack: str = ""


@dataclass
class Goal:
    """The resource that a program wants. Fields as in `terrace.engine.state.Resource`."""

    type: str
    name: str
    custom: bool
    parent: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    provider: str = ""
    protect: bool | None = None
    retain_on_delete: bool | None = None
    delete_before_replace: bool | None = None
    deleted_with: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    aliases: list[Alias] = field(default_factory=list)
    source_position: str = ""
    read_id: str = ""
    import_id: str = ""

    @property
    def is_provider(self) -> bool:
        """Whether it is a provider itself."""
        return self.type.startswith(PROVIDER_PREFIX)

    def resource(self, urn: str, old: Resource | None) -> Resource:
        """The resource that is wanted, in place of the stored one."""
        return Resource(
            urn=urn,
            type=self.type,
            custom=self.custom,
            parent=self.parent,
            inputs=self.inputs,
            provider=self.provider,
            protect=bool(self.protect),
            external=bool(self.read_id),
            retain_on_delete=bool(self.retain_on_delete),
            deleted_with=self.deleted_with,
            import_id=self.import_id,
            dependencies=self.dependencies,
            property_dependencies=self.property_dependencies if self.custom and not self.read_id else {},
            ignore_changes=self.ignore_changes,
            replace_on_changes=self.replace_on_changes,
            additional_secret_outputs=self.additional_secret_outputs,
            custom_timeouts=self.custom_timeouts,
            aliases=[old.urn] if old is not None and old.urn != urn else [],
            created=old.created if old else "",
            modified=old.modified if old else "",
            source_position=self.source_position,
        )


def default_provider(package: str, version: str, config: Mapping[str, Any]) -> Goal:
    """The goal of a package's default provider, which has the package's part of the stack's configuration.

    Args:
        package: The package.
        version: The version that the program asks for; empty for any.
        config: The stack's configuration by full key, secrets marked.
    """
    prefix = f"{package}:"
    inputs = {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}
    if package == DYNAMIC:
        inputs = dict(config)
    if version:
        inputs["version"] = version
    suffix = "_" + version.replace(".", "_") if version else ""
    return Goal(type=PROVIDER_PREFIX + package, name=f"default{suffix}", custom=True, inputs=inputs)


def from_registration(request: Any, root: Path) -> Goal:
    """The goal of a ``RegisterResourceRequest``.

    Raises:
        UnsupportedError: The resource uses something that this engine can't do; it is named.
    """
    _refuse(request)
    inputs = from_wire(request.object)
    dependencies = sorted(request.dependencies)
    given = {key: sorted(item.urns) for key, item in request.propertyDependencies.items()}
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        parent=request.parent,
        inputs=inputs,
        provider=request.provider,
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        delete_before_replace=_delete_before_replace(request),
        deleted_with=request.deletedWith,
        dependencies=dependencies,
        property_dependencies={key: given.get(key, []) if given else dependencies for key in inputs},
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        custom_timeouts=_timeouts(request),
        aliases=[_alias(item) for item in request.aliases] + [Alias(urn=urn) for urn in request.aliasURNs],
        source_position=_position(request.sourcePosition, root),
        import_id=request.importId,
    )


def from_read(request: Any, root: Path) -> Goal:
    """The goal of a ``ReadResourceRequest``."""
    return Goal(
        type=request.type,
        name=request.name,
        custom=True,
        parent=request.parent,
        inputs=from_wire(request.properties),
        provider=request.provider,
        dependencies=sorted(request.dependencies),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        source_position=_position(request.sourcePosition, root),
        read_id=request.id,
    )


def _refuse(request: Any) -> None:
    features = {
        "remote components": request.remote,
        "the option `replacement_trigger`": request.HasField("replacement_trigger"),
        "the option `replace_with`": bool(request.replace_with),
        "the option `env_var_mappings`": bool(request.envVarMappings),
        "resource hooks": bool(request.hooks.ListFields()),
        "state migrations": bool(request.state_migrations),
    }
    for feature, used in features.items():
        if used:
            raise UnsupportedError(
                f"{feature} isn't supported by the embedded engine",
                where=f"{request.type} {request.name}",
                fix="use --engine pulumi",
            )


def _delete_before_replace(request: Any) -> bool | None:
    return request.deleteBeforeReplace if request.deleteBeforeReplaceDefined else None


def _alias(alias: Any) -> Alias:
    if alias.WhichOneof("alias") == "urn":
        return Alias(urn=alias.urn)
    spec = alias.spec
    return Alias(
        name=spec.name,
        type=spec.type,
        parent=spec.parentUrn,
        no_parent=spec.noParent,
        project=spec.project,
        stack=spec.stack,
    )


def _timeouts(request: Any) -> dict[str, float]:
    if not request.HasField("customTimeouts"):
        return {}
    given = request.customTimeouts
    named = {name: getattr(given, name) for name in ("create", "update", "delete", "read")}
    return {name: _seconds(text) for name, text in named.items() if text}


def _seconds(duration: str) -> float:
    parts = _DURATION.findall(duration)
    if "".join(number + unit for number, unit in parts) != duration:
        raise UnsupportedError(f"the timeout {duration!r} isn't a duration", fix="write it like 1h30m or 90s")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _position(position: Any, root: Path) -> str:
    if not position.uri.startswith("file://"):
        return ""
    relative = os.path.relpath(position.uri.removeprefix("file://"), root)
    column = f",{position.column}" if position.column else ""
    return f"project:///{relative}#{position.line}{column}"
