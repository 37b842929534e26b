"""The state while an operation changes it.

A snapshot starts from the stored deployment (the base). Steps put resources into it, and take resources of the base out
of it; what the operation didn't reach stays. Each change goes to the journal first, so that replaying the journal over
the same base gives the same snapshot.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from terrace.engine.journal import Entry, Journal
from terrace.engine.normalize import drop_missing_references, in_order_of_needs, latest_of_each, resolve_aliases
from terrace.engine.secrets import Crypter
from terrace.engine.state import Deployment, Resource

CREATING = "creating"


class Snapshot:
    """A deployment that is being changed. Safe to use from several threads.

    Args:
        base: The stored deployment.
        crypter: Encrypts what goes to the journal.
        journal: Where changes are recorded; None in a preview.
    """

    def __init__(self, base: Deployment, crypter: Crypter, journal: Journal | None) -> None:
        self._base = base
        self._crypter = crypter
        self._journal = journal
        self._lock = threading.Lock()
        self._items = {f"b{index}": resource for index, resource in enumerate(base.resources)}
        self._keys = {resource: key for key, resource in self._items.items()}
        self._added: list[str] = []
        self._done: set[str] = set()
        self._pending: dict[int, tuple[str, Resource]] = {}
        self._begun = 0
        self._shrunk = False
        self.changed = False

    def begin(self, kind: str, resource: Resource) -> int:
        """Record that an operation (``creating``, ``updating``, ``deleting``, ``reading``) begins."""
        with self._lock:
            self._begun += 1
            number = self._begun
        self._record([{"t": "begin", "i": number, "op": kind, "r": resource}])
        return number

    def end(
        self,
        number: int,
        *,
        added: Resource | None = None,
        done: Iterable[Resource] = (),
        changed: Iterable[Resource] = (),
    ) -> None:
        """Record the end of operation ``number``.

        Args:
            number: What `begin` returned.
            added: The resource that is there now.
            done: Resources that aren't there any more.
            changed: Resources of which only some fields changed.
        """
        entries: list[Entry] = [{"t": "end", "i": number}]
        entries += [{"t": "done", "k": self._keys[resource]} for resource in done]
        entries += [{"t": "set", "k": self._keys[resource], "r": resource} for resource in changed]
        if added is not None:
            entries.append({"t": "new", "k": self._new_key(added), "r": added})
        self._record(entries)

    def add(self, resource: Resource, replacing: Resource | None = None) -> None:
        """Record a resource that needs no provider."""
        entries: list[Entry] = [{"t": "new", "k": self._new_key(resource), "r": resource}]
        if replacing is not None:
            entries.append({"t": "done", "k": self._keys[replacing]})
        self._record(entries)

    def keep(self, old: Resource, new: Resource) -> None:
        """Record that ``old`` was seen and is ``new`` now, with nothing changed that is worth a write."""
        self._record([{"t": "keep", "k": self._keys[old], "as": self._new_key(new), "r": new}], durable=False)

    def set(self, resource: Resource) -> None:
        """Record that fields of a resource changed."""
        self._record([{"t": "set", "k": self._keys[resource], "r": resource}])

    def refresh(self, old: Resource, new: Resource) -> None:
        """Record that ``new`` stands where ``old`` stood."""
        with self._lock:
            self._keys[new] = self._keys[old]
        self.set(new)

    def remove(self, resource: Resource) -> None:
        """Record that a resource isn't there any more."""
        self._record([{"t": "done", "k": self._keys[resource]}])

    def tidy(self) -> None:
        """Have references to what isn't there any more dropped, as the Pulumi CLI does after every refresh."""
        self._shrunk = self.changed = True

    def apply(self, entries: list[Entry]) -> None:
        """Replay entries that were read from a journal."""
        self._apply(
            [
                {**entry, "r": Resource.from_json(entry["r"], self._crypter)} if "r" in entry else entry
                for entry in entries
            ]
        )

    def deployment(self) -> Deployment:
        """The deployment as it is now.

        Creates that an earlier operation left unfinished stay in it, as with the Pulumi CLI, until the same resource is
        created: nobody knows whether something is there.
        """
        with self._lock:
            keys = [*self._added, *(f"b{index}" for index in range(len(self._base.resources)))]
            resources = resolve_aliases([self._items[key] for key in keys if key not in self._done])
            resources = in_order_of_needs(latest_of_each(resources))
            if self._shrunk:
                resources = drop_missing_references(resources)
            made = {resource.urn for resource in resources}
            pending = list(self._pending.values())
            pending += [(kind, item) for kind, item in self._base.pending if kind == CREATING and item.urn not in made]
            return Deployment(resources, pending, self._base.extra)

    def _new_key(self, resource: Resource) -> str:
        with self._lock:
            key = f"n{len(self._keys)}"
            self._keys[resource] = key
            return key

    def _record(self, entries: list[Entry], *, durable: bool = True) -> None:
        if self._journal is not None:
            self._journal.append([self._to_json(entry) for entry in entries], durable=durable)
        self._apply(entries)

    def _to_json(self, entry: Entry) -> dict[str, Any]:
        if entry["t"] == "keep":
            return {key: value for key, value in entry.items() if key != "r"}
        return {**entry, "r": entry["r"].to_json(self._crypter)} if "r" in entry else entry

    def _apply(self, entries: list[Entry]) -> None:
        with self._lock:
            for entry in entries:
                self._apply_one(entry)

    def _apply_one(self, entry: Entry) -> None:
        kind = entry["t"]
        if kind == "begin":
            self._pending[entry["i"]] = (entry["op"], entry["r"])
        elif kind == "end":
            self._pending.pop(entry["i"], None)
        elif kind == "keep":
            self._done.add(entry["k"])
            self._place(entry["as"], entry.get("r") or self._items[entry["k"]])
            return
        elif kind == "new":
            self._place(entry["k"], entry["r"])
        elif kind == "set":
            self._items[entry["k"]] = entry["r"]
        elif kind == "done":
            self._done.add(entry["k"])
        elif kind == "open" and entry["operation"] == "refresh":
            self._shrunk = True
        self.changed = self.changed or kind not in ("open", "folded")

    def _place(self, key: str, resource: Resource) -> None:
        self._items[key] = resource
        self._added.append(key)
