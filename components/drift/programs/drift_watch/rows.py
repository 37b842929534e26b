"""Kept predictions as a table: a column an input, and ``prediction``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from .quality import Labelled

PREDICTION = "prediction"
Answered = tuple[str, str, datetime, list[Mapping[str, Any]]]
Known = tuple[str, int, Any, datetime | None, datetime]
Record = tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]


def columns(records: Iterable[Record]) -> dict[str, list[Any]]:
    """Return the rows of all records by column; what a record doesn't have is None there.

    An input counts where it has a value for each row; masked ones and tensors of more than one number a row don't.

    Args:
        records: Inputs and outputs of each kept request, as the Open Inference Protocol writes them.
    """
    table: dict[str, list[Any]] = {}
    length = 0
    for inputs, outputs in records:
        answers = predictions(outputs)
        found: dict[str, list[Any]] = {PREDICTION: answers}
        for each in inputs:
            if not each.get("masked") and len(each["data"] or ()) == len(answers):
                found[each["name"]] = list(each["data"])
        for name in found.keys() - table.keys():
            table[name] = [None] * length
        length += len(answers)
        for name, values in table.items():
            values.extend(found.get(name, [None] * len(answers)))
    return table


def predictions(outputs: list[Mapping[str, Any]]) -> list[Any]:
    """Return a number or class for each row of an answer.

    Of two probabilities a row it is the second, that of the class that is asked about; of more, the likeliest class.
    """
    if not outputs:
        return []
    shape, data = outputs[0]["shape"], outputs[0]["data"]
    width = shape[1] if len(shape) == 2 else 1
    if width == 1 or not data:
        return list(data)
    rows = [data[start : start + width] for start in range(0, len(data), width)] if len(data) != shape[0] else data
    if width == 2:
        return [row[1] for row in rows]
    return [str(max(range(width), key=lambda index: row[index])) for row in rows]


def join(answered: Iterable[Answered], labels: Sequence[Known]) -> dict[str, list[Labelled]]:
    """Return the labelled predictions of each version.

    Args:
        answered: Version, request's id, time, and outputs of each request, the latest first: where a version was asked
            twice with the same id, the latest answer counts.
        labels: Request's id, row, label, when it happened if that was said, and when the label came.
    """
    latest: dict[str, dict[str, tuple[datetime, list[Any]]]] = {}
    for version, request, at, outputs in answered:
        latest.setdefault(version, {}).setdefault(request, (at, predictions(outputs)))
    found: dict[str, list[Labelled]] = {version: [] for version in latest}
    for version, requests in latest.items():
        for request, row, label, happened, came in labels:
            at, answers = requests.get(request, (came, []))
            if row < len(answers):
                found[version].append(Labelled(answers[row], label, happened or at, (came - at).total_seconds()))
    return found
