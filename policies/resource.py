"""Resources as rules see them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from policies.texts import shell_words
from policies.values import UNKNOWN, Value
from terrace.names import resource_name

DYNAMIC = "pulumi-python:dynamic/"  # what Pulumi puts before the types of resources that Python code handles
PLATFORM = "terrace:platform:Platform"
LONGEST_NAME = 80  # characters of a file's path that reports show


@dataclass(frozen=True)
class Resource:
    """A resource that is to be deployed.

    Args:
        urn: Its URN.
        type: Its type token.
        properties: Its inputs: plain data, with `UNKNOWN` for what isn't known yet.
    """

    urn: str
    type: str
    properties: Mapping[str, Any]

    @property
    def kind(self) -> str:
        """The type token as the program wrote it."""
        return self.type.removeprefix(DYNAMIC)

    @cached_property
    def path(self) -> str:
        """Its place in the platform, as commands show it: ``tracking/mlflow-service``."""
        return str(resource_name(self.urn))

    @cached_property
    def slot(self) -> str:
        """The slot that it belongs to; ``platform`` where it belongs to none."""
        return self.path.partition("/")[0]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.path.partition("/")[2]

    @property
    def own(self) -> Value:
        """Its properties."""
        return Value(self.properties, "")

    @property
    def role(self) -> str:
        """The Ansible role that it runs on a host; empty where it runs none."""
        held = self.properties.get("role")
        return held if isinstance(held, str) else ""

    @cached_property
    def variables(self) -> Value:
        """The variables of its role, which travel as one text."""
        held = self.properties.get("variables")
        if held is UNKNOWN:
            return Value(UNKNOWN, "variables")
        return Value(held, "variables").parsed()

    @cached_property
    def host(self) -> str:
        """The name of the host that it is on; empty where that isn't known."""
        return self._of_host("name")

    @property
    def address(self) -> str:
        """The address of that host; empty where that isn't known."""
        return self._of_host("address")

    def _of_host(self, about: str) -> str:
        held = self.properties.get("host")
        return Value(None if held is UNKNOWN else held, "host").parsed()[about].text

    def variable(self, name: str) -> Value:
        """Return a variable of the service's environment, plain or secret."""
        for part in ("service_environment", "service_secrets"):
            if (found := self.variables[part][name]).is_there:
                return found
        return self.variables["service_environment"][name]

    def files(self) -> Iterator[tuple[str, Value]]:
        """Yield path and content of each of the service's files."""
        for part in ("service_files", "service_live_files"):
            for file in self.variables[part]:
                path = file["path"].text
                yield path, file["content"].called(f"variables.{part}[{path[:LONGEST_NAME]}]")

    def file(self, path: str) -> Value:
        """Return the content of one of the service's files."""
        absent = Value(None, f"variables.service_files[{path}]")
        return next((content for name, content in self.files() if name == path), absent)

    def commands(self) -> Iterator[Value]:
        """Yield each command that the service runs, a list of words."""
        for part in ("service_processes", "service_setup", "service_live_setup"):
            for each in self.variables[part]:
                yield each["command"]

    def words(self) -> Iterator[Value]:
        """Yield each word of these commands."""
        for command in self.commands():
            yield from command

    def runs(self, programs: Collection[str]) -> Iterator[Value]:
        """Yield each word that names one of ``programs``, also within a script for a shell."""
        for word in self.words():
            if any(part.rpartition("/")[2] in programs for part in shell_words(word.text)):
                yield word


def is_platform(resource: Resource) -> bool:
    """Whether it is the root of the platform."""
    return resource.kind == PLATFORM


def is_component(resource: Resource) -> bool:
    """Whether it is the component of a slot."""
    return bool(re.fullmatch(r"terrace:[a-z_]+:[A-Za-z]+", resource.kind)) and not is_platform(resource)


def is_host(resource: Resource) -> bool:
    """Whether it is a machine."""
    return resource.kind == "terrace:Host"


def is_service(resource: Resource) -> bool:
    """Whether it is a service on a host."""
    return resource.role == "service"


def runs_role(role: str) -> Callable[[Resource], bool]:
    """Return what tells whether a resource runs an Ansible role."""
    return lambda resource: resource.role == role


def service_of(*slots: str) -> Callable[[Resource], bool]:
    """Return what tells whether a resource is a service of one of these slots."""
    return lambda resource: is_service(resource) and resource.slot in slots
