"""What the annotation ``pulumi.com/waitFor`` asks for: ``condition=Type[=Status]`` or ``jsonpath={.path}[=value]``."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from terrace.engine.errors import StepError
from terrace.engine.kubernetes.objects import Object, annotation, field
from terrace.engine.kubernetes.status import READY, Status, holds, is_observed

WAIT_FOR: Final = "pulumi.com/waitFor"
# The part of JSONPath that says where one value stands: keys, quoted keys, indexes.
_JSONPATH: Final = re.compile(r"\{((?:\.[\w-]+|\['[^']*'\]|\[\d+\])+)\}(?:=(.*))?", re.DOTALL)
_PART: Final = re.compile(r"\.([\w-]+)|\['([^']*)'\]|\[(\d+)\]")


def expressions(obj: Object) -> list[str]:
    """The expressions of an object's annotation; none if it has none.

    Raises:
        StepError: One of them can't be read.
    """
    text = annotation(obj, WAIT_FOR)
    if not text:
        return []
    try:
        found = json.loads(text)
    except ValueError:
        found = text
    wanted = [str(item) for item in found] if isinstance(found, list) else [text]
    for expression in wanted:
        kind, _, rest = expression.partition("=")
        if kind != "condition" and not (kind == "jsonpath" and _JSONPATH.fullmatch(rest)):
            fix = "write condition=Type=Status, or jsonpath={.path.of.keys}=value"
            raise StepError(f"{WAIT_FOR} can't be read: {expression!r}", fix=fix)
    return wanted


def reached(obj: Object, wanted: list[str]) -> Status:
    """Whether all expressions hold."""
    unmet = [expression for expression in wanted if not _holds(obj, expression)]
    return Status(False, f"it waits for {', '.join(unmet)}") if unmet else READY


def _holds(obj: Object, expression: str) -> bool:
    kind, _, rest = expression.partition("=")
    if kind == "condition":
        type_, _, wanted = rest.partition("=")
        return holds(obj, type_, wanted or "True")
    match = _JSONPATH.fullmatch(rest)
    if match is None or (field(obj, "status", "observedGeneration") is not None and not is_observed(obj)):
        return False
    value = _at(obj, match[1])
    return value is not None if match[2] is None else _text(value) == match[2].strip("\"'")


def _at(obj: Any, path: str) -> Any:
    for key, quoted, index in _PART.findall(path):
        if index:
            obj = obj[int(index)] if isinstance(obj, list) and int(index) < len(obj) else None
        else:
            obj = obj.get(key or quoted) if isinstance(obj, dict) else None
    return obj


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
