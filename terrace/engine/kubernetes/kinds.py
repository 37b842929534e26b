"""Pulumi's type tokens (``kubernetes:apps/v1:Deployment``) and the kinds of objects that they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

RELEASE: Final = "kubernetes:helm.sh/v3:Release"


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        group: Its API group; empty for the core's.
        version: The version of the API.
        name: Its name, such as ``Deployment``.
    """

    group: str
    version: str
    name: str

    @property
    def api_version(self) -> str:
        """The group and the version, as objects have them."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def __str__(self) -> str:
        return f"{self.api_version}/{self.name}"


def kind_of_type(type_: str) -> Kind:
    """The kind of a type token. Of a patch it is the kind with ``Patch`` after it."""
    _, module, name = type_.split(":", 2)
    group, _, version = module.partition("/")
    return Kind("" if group == "core" else group, version, name)


def kind_of(api_version: str, name: str) -> Kind:
    """The kind of an object."""
    group, _, version = api_version.rpartition("/")
    return Kind("" if group == "core" else group, version, name)


def is_patch(type_: str, kind: str) -> bool:
    """Whether a resource changes an object that something else manages; ``kind`` is what it says in its inputs."""
    return type_.rpartition(":")[2] == f"{kind}Patch"


def is_list(type_: str) -> bool:
    """Whether a type is a list of others, which exists for manifests only."""
    kind = kind_of_type(type_)
    builtin = "." not in kind.group or kind.group.endswith(".k8s.io")
    return builtin and kind.name.endswith("List")
