"""Labels that are handed over: what a body must look like, and what is refused of it, by name."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

MOST = 10_000  # labels in one request
LONGEST = 200  # characters of a name, an id, or a class
LAST_ROW = 1_000_000
LARGEST = 1e300  # what is not a number isn't smaller either
YEARS = range(1900, 2200)
KEYS = {"id", "row", "label", "happened"}
OF_BODY = {"model", "labels"}


@dataclass(frozen=True)
class Label:
    """What turned out to be true of one row of a request.

    Args:
        request: The request's id, which its answer says too.
        row: Which of its rows, from 0 on.
        value: A number or a class.
        happened: When it happened; None where nobody said.
    """

    request: str
    row: int
    value: float | str
    happened: datetime | None


class AwayError(Exception):
    """The database cannot take labels now."""


class Store(Protocol):
    """Where labels are kept."""

    def keep(self, model: str, labels: Sequence[Label]) -> None:
        """Keep them; one that is there already takes the new value.

        Raises:
            AwayError: The database does not answer; nothing was kept.
        """


class WrongError(Exception):
    """What is wrong with a label, or with all of them."""


def take(body: bytes, store: Store | None) -> tuple[str, dict[str, Any]]:
    """Keep what is right of a body, and return the answer: its status, and what was refused and why.

    Args:
        body: ``{"model": …, "labels": [{"id": …, "row": …, "label": …, "happened": …}]}``
        store: None where no predictions are kept, and so no labels either.
    """
    if store is None:
        return "404 Not Found", {"error": "predictions are not kept here, so there is nothing to label"}
    try:
        model, entries = _read(body)
    except WrongError as error:
        return "400 Bad Request", {"error": str(error)}
    found: dict[tuple[str, int], Label] = {}
    refused: list[dict[str, Any]] = []
    for index, entry in enumerate(entries):
        try:
            label = _label(entry, found)
            found[label.request, label.row] = label
        except WrongError as error:
            name = str(entry.get("id", ""))[:LONGEST] if isinstance(entry, Mapping) else ""
            refused.append({"index": index, "id": name, "why": str(error)})
    try:
        store.keep(model, list(found.values()))
    except AwayError as error:
        return "503 Service Unavailable", {"error": f"no label was kept: {error}; send them again later"}
    answer = {"kept": len(found), "refused": refused}
    return ("422 Unprocessable Content" if refused else "200 OK"), answer


def _read(body: bytes) -> tuple[str, list[Any]]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise WrongError("it is no JSON") from None
    if not isinstance(content, dict) or set(content) != OF_BODY:
        raise WrongError('it should be {"model": …, "labels": […]}')
    model, labels = content["model"], content["labels"]
    if not _is_text(model) or not isinstance(labels, list):
        raise WrongError(f"`model` should be a name of up to {LONGEST} characters, and `labels` a list")
    if len(labels) > MOST:
        raise WrongError(f"there are {len(labels)} labels; send at most {MOST} at once")
    return model, labels


def _label(entry: Any, found: Mapping[tuple[str, int], Label]) -> Label:
    if not isinstance(entry, Mapping) or not {"id", "label"} <= set(entry) <= KEYS:
        raise WrongError("it should have `id` and `label`, and may have `row` and `happened`")
    if not _is_text(entry["id"]):
        raise WrongError(f"`id` should be the request's id, up to {LONGEST} characters")
    row = entry.get("row", 0)
    if isinstance(row, bool) or not isinstance(row, int) or not 0 <= row <= LAST_ROW:
        raise WrongError("`row` should be a whole number from 0 on")
    if (entry["id"], row) in found:
        raise WrongError("it stands there twice; the first counts")
    return Label(entry["id"], row, _value(entry["label"]), _moment(entry.get("happened")))


def _value(value: Any) -> float | str:
    if isinstance(value, (bool, int, float)) and abs(value) <= LARGEST:
        return float(value)
    if _is_text(value):
        return str(value)
    raise WrongError(f"`label` should be a number, true or false, or a class of up to {LONGEST} characters")


def _moment(value: Any) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        moment = None
    if moment is None or moment.tzinfo is None or moment.year not in YEARS:
        raise WrongError("`happened` should be a time with its zone, as 2013-09-01T12:00:00Z")
    return moment


def _is_text(value: Any) -> bool:
    """Return whether it is a text that the database can hold; half a character, say, isn't."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST or "\0" in value:
        return False
    return value.encode(errors="ignore").decode() == value
