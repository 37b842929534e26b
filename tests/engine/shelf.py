"""A provider for tests of the package ``test``: a book is an entry of a dictionary, one per shelf."""

from __future__ import annotations

from typing import Any

import pulumi

from terrace.engine.diff import Diff
from terrace.engine.errors import PartialError
from terrace.engine.provider import Failure, Found, Provider, Values
from terrace.engine.state import Resource
from terrace.engine.values import reveal

TYPE = "test:index:Book"


class Shelves:
    """What is really there, by the shelf's name (a provider's configuration) and the book's id."""

    def __init__(self) -> None:
        self.books: dict[str, dict[str, Values]] = {}
        self.fail: set[str] = set()

    def open(self, configuration: Values) -> Provider:
        return Shelf(self, str(configuration.get("shelf", "default")))


class Shelf:
    """One shelf. A book's title can't be changed; what is in ``fail`` is done half only."""

    def __init__(self, shelves: Shelves, name: str) -> None:
        self._fail = shelves.fail
        self._books = shelves.books.setdefault(name, {})

    def check(self, _urn: str, old: Values | None, new: Values) -> tuple[Values, list[Failure]]:
        failures = [] if "title" in new else [Failure("title", "a book needs one")]
        return {"pages": (old or {}).get("pages", 100), **new}, failures

    def diff(self, old: Resource, new: Values) -> Diff:
        changed = tuple(key for key in sorted({**old.inputs, **new}) if old.inputs.get(key) != new.get(key))
        replaces = tuple(key for key in changed if key == "title")
        return Diff(bool(changed), replaces, changed_keys=changed, replace=bool(replaces))

    def create(self, new: Resource) -> tuple[str, Values]:
        return new.inputs["title"], self._put(new.inputs["title"], new.inputs, "create")

    def read(self, resource: Resource) -> Found:
        book = self._books.get(resource.id)
        return Found("", None, {}) if book is None else Found(resource.id, dict(book), dict(book))

    def update(self, old: Resource, new: Resource) -> Values:
        return self._put(old.id, new.inputs, "update")

    def delete(self, old: Resource) -> None:
        self._books.pop(old.id, None)

    def _put(self, identifier: str, inputs: Values, method: str) -> Values:
        book: Values = reveal(inputs)
        self._books[identifier] = book
        if method in self._fail:
            raise PartialError(f"the cover of {book} is missing", identifier, dict(book))
        return dict(book)


class Book(pulumi.CustomResource):
    """A book."""

    title: pulumi.Output[str]
    pages: pulumi.Output[int]

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None, **inputs: Any) -> None:
        super().__init__(TYPE, name, {"title": None, "pages": None, **inputs}, opts)


class ShelfProvider(pulumi.ProviderResource):
    """A provider with a configuration of its own."""

    def __init__(self, name: str, shelf: str) -> None:
        super().__init__("test", name, {"shelf": shelf})
