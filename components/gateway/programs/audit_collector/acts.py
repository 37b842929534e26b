"""What requests mean, as the services that they lead to say: each drops a file of it beside its routes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

READING = ("GET", "HEAD", "OPTIONS")


class Meaning(NamedTuple):
    """What a request does: to which slot, what, to what in it, and whether the audit log is told of it.

    ``action`` is empty where anybody is answered.
    """

    slot: str
    action: str
    about: str = ""
    told: bool = True


@dataclass(frozen=True)
class Act:
    """What some requests do: those whose «METHOD path» the pattern fits."""

    request: re.Pattern[str]
    action: str
    slot: str


@dataclass(frozen=True)
class Route:
    """A path of the gateway: whose it is, whether reading there is told, and what requests to it mean."""

    path: str
    slot: str
    reads: bool
    acts: tuple[Act, ...]

    @classmethod
    def of(cls, found: dict[str, Any]) -> Route:
        """Read a route from the file that its service dropped."""
        acts = (Act(re.compile(act["request"]), act["action"], act["slot"]) for act in found["acts"])
        return cls(found["path"], found["slot"], found["reads"], tuple(acts))

    def meaning(self, method: str, path: str) -> Meaning:
        """Return what a request to this route does."""
        for act in self.acts:
            if found := act.request.fullmatch(f"{method} {path}"):
                about = found[1] if found.re.groups else ""
                return self._meaning(act.slot or self.slot, act.action, about)
        return self._meaning(self.slot, *_by_method(method, path))

    def _meaning(self, slot: str, action: str, about: str) -> Meaning:
        return Meaning(slot, action, about, told=self.reads or action != "read")


class Acts:
    """What the requests to all routes mean.

    Args:
        routes: The routes.
    """

    def __init__(self, routes: Iterable[Route] = ()) -> None:
        self._routes = sorted(routes, key=lambda route: len(route.path), reverse=True)

    @classmethod
    def load(cls, folder: Path) -> Acts:
        """Read what services dropped into ``folder``.

        Raises:
            OSError: A file can't be read, as where its service was just removed.
        """
        files = sorted(folder.glob("*.acts"))
        return cls(Route.of(found) for file in files for found in json.loads(file.read_text(encoding="utf-8")))

    def meaning(self, method: str, path: str, slot: str) -> Meaning:
        """Return what a request does; ``slot`` is what the gateway says of it, where it asked for the account."""
        for route in self._routes:
            if path.startswith(route.path):
                return route.meaning(method, path)
        action, about = _by_method(method, path)
        return Meaning(slot, action, about, told=action != "read")


def _by_method(method: str, path: str) -> tuple[str, str]:
    return ("read", "") if method in READING else ("change", f"{method} {path}")
