"""Which of what people deleted in MLflow goes for good, and what stays. Nothing here touches anything."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

Kind = Literal["model", "run", "experiment"]

DAY_SECONDS = 86400
DEFAULT_EXPERIMENT = "0"  # what clients fall back to; MLflow can't make it again
SCHEME = "mlflow-artifacts"  # the server's own store; what lies elsewhere is not the platform's
PROXY = re.compile(r"/mlflow-artifacts/artifacts(?=/|$)")
IDENTIFIER = re.compile(r"(?:\bm-)?[0-9a-f]{32}")


@dataclass(frozen=True)
class Found:
    """Something in MLflow that is deleted, or lies in an experiment that is.

    Args:
        kind: What it is.
        id: Its id in MLflow.
        experiment: The id of the experiment that it belongs to; an experiment's own.
        deleted: When it was deleted (seconds since the epoch); None where it is not.
        location: The address of its artifacts.
    """

    kind: Kind
    id: str
    experiment: str
    deleted: float | None
    location: str

    @property
    def key(self) -> str:
        """Its name in the records: ids are unique among one kind alone."""
        return f"{self.kind} {self.id}"

    @property
    def folder(self) -> str | None:
        """Its own folder in the server's store; None where its artifacts are elsewhere, or others' too.

        A run's and a model's folder names it. Of experiments only MLflow's own place does: people can have others made
        in any place, also within somebody else's.
        """
        path = place(self.location) if urlsplit(self.location).scheme == SCHEME else None
        if path is None or self.id not in path.split("/"):
            return None
        return None if self.kind == "experiment" and path != self.id else path


@dataclass(frozen=True)
class Holds:
    """What must keep its artifacts.

    Args:
        named: Run or logged model → the registered version that names it.
        places: Folder in the server's store → what has artifacts in it: registered versions, experiments.
    """

    named: Mapping[str, str]
    places: Mapping[str, Collection[str]]

    @classmethod
    def of(cls, versions: Mapping[str, Iterable[str | None]], experiments: Mapping[str, str]) -> Holds:
        """Return them.

        Args:
            versions: Registered version, as people call it → its source, its storage location, and its run.
            experiments: Id of each experiment, deleted or not → the address of its artifacts.
        """
        named: dict[str, str] = {}
        places: dict[str, set[str]] = {}
        for id_, location in experiments.items():
            _enter(places, location, f"experiment {id_}")
        for version, texts in versions.items():
            for text in filter(None, texts):
                named |= dict.fromkeys(IDENTIFIER.findall(text), version)
                _enter(places, text, version)
        return cls(named, places)

    def why(self, found: Found) -> str:
        """Return why something must stay; nothing where it needn't."""
        if found.id in self.named:
            return f"{self.named[found.id]} came from it"
        if found.folder is None:
            return "its artifacts are elsewhere"
        others = sorted(set(self.places.get(found.folder, ())) - {found.key})
        return f"{others[0]} has artifacts there" if others else ""


def _enter(places: dict[str, set[str]], location: str, who: str) -> None:
    """Note who has artifacts in a folder, and so in all those that it lies in."""
    path = place(location) or ""
    while path:
        places.setdefault(path, set()).add(who)
        path = posixpath.dirname(path)


def place(location: str) -> str | None:
    """Return the folder in the server's store that an address names; None where it names none."""
    parts = urlsplit(location)
    path = parts.path if parts.scheme == SCHEME else "".join(PROXY.split(parts.path, maxsplit=1)[1:])
    normal = posixpath.normpath("/" + unquote(path)).strip("/")
    return normal or None


def held(found: Iterable[Found], holds: Holds) -> dict[str, str]:
    """Return key → why it stays, however long ago it was deleted.

    An experiment stays as a whole: MLflow removes the rows of all that it holds together with it.
    """
    everything = tuple(found)
    reasons = {each.key: reason for each in everything if (reason := holds.why(each))}
    inside: dict[str, list[Found]] = {}
    for each in everything:
        if each.kind != "experiment":
            inside.setdefault(each.experiment, []).append(each)
    for each in everything:
        if each.kind == "experiment" and each.key not in reasons and (reason := _kept(each, inside, reasons)):
            reasons[each.key] = reason
    return reasons


def _kept(experiment: Found, inside: Mapping[str, list[Found]], reasons: Mapping[str, str]) -> str:
    if experiment.id == DEFAULT_EXPERIMENT:
        return "MLflow's clients need it"
    for each in inside.get(experiment.id, ()):
        if each.key in reasons:
            return f"of {each.key}: {reasons[each.key]}"
        if each.kind == "run" and each.deleted is None:
            return f"{each.key} was restored"
    return ""


def seen(found: Iterable[Found], reasons: Collection[str], before: Mapping[str, float], now: float) -> dict[str, float]:
    """Return since when each deleted thing was there with nothing that held it (seconds since the epoch).

    What a restore brings back was not there before, so it has all its time again.
    """
    return {
        each.key: now if each.key in reasons else before.get(each.key, now)
        for each in found
        if each.deleted is not None
    }


def due(
    found: Iterable[Found], reasons: Collection[str], since: Mapping[str, float], days: int, now: float
) -> list[Found]:
    """Return what goes: models, then runs, then experiments of which nothing else is left."""
    everything = tuple(found)
    limit = now - days * DAY_SECONDS
    old = {
        each.key
        for each in everything
        if each.key not in reasons and each.deleted is not None and max(each.deleted, since[each.key]) <= limit
    }
    young = {each.experiment for each in everything if each.kind == "run" and each.key not in old}
    order = ("model", "run", "experiment")
    going = [each for each in everything if each.key in old and (each.kind != "experiment" or each.id not in young)]
    return sorted(going, key=lambda each: order.index(each.kind))
