"""What a user is told of a value that pydantic refused: what is wrong with it, and what would be right."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

_KINDS = {  # pydantic's type of error → what it means in YAML
    "date_from_datetime_parsing": "it should be a day, YYYY-MM-DD",
    "tuple_type": "it should be a list",
    "mapping_type": "it should be a mapping",
    "model_type": "it should be a mapping",
    "string_type": "it should be a text",
}
_WORD = "it should be small letters, digits, hyphens, and underscores, a letter first"
_HOST = "it should be a host's name or IP address"
_MAIL = "it should be a mail address"
_FORMS = {  # a pattern of the spec → what it means
    r"^[a-z][a-z0-9-]{0,30}$": "it should be up to 31 small letters, digits, and hyphens, a letter first",
    r"^[a-z_][a-z0-9_-]{0,31}$": "it should be the name of an account on the host",
    r"^[a-z][a-z0-9_-]*$": _WORD,
    r"^[a-z][a-z0-9_]*$": "it should be small letters, digits, and underscores, a letter first",
    r"^[^@\s]+@[^@\s]+$": _MAIL,
    r'^[^@\s{}<>,;"]+@[^@\s{}<>,;"]+$': _MAIL,
    r"^[A-Za-z0-9][A-Za-z0-9.-]*$": _HOST,
    r"^[A-Za-z0-9.-]+$": _HOST,
    r"^https?://": "it should begin with https:// or http://",
    r"^file://": "it should begin with file://",
    r"^/": "it should be a whole path, which begins with /",
    r"^(/(\.?[\w-][\w.-]*|\.\.[\w.-]+))+$": "it should be a whole path, which begins with /, of letters, digits, and "
    ". _ -, without //, /./, /../, and / at its end",
    r"^[/~][^\n\"%]*$": "it should be a path that begins with / or ~",
    r"^([01]\d|2[0-3]):[0-5]\d$": "it should be a time of day, such as 02:30, in quotes",
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": "it should be small letters, digits, and hyphens",
    r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$": "it should be 3 to 63 small letters, digits, hyphens, and dots",
    r"^[a-z0-9-]+$": "it should be small letters, digits, and hyphens",
    r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$": "it should be small letters, digits, hyphens, and dots",
    r"^[a-z_]+$": "it should be the name of a slot, such as pipelines",
    r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$": "it should be a key as Kubernetes has "
    "them, such as dedicated or example.com/kind",
    r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$": "it should be up to 63 letters, digits, and . _ -",
    r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$": "it should be what the cluster calls them, such as nvidia.com/gpu",
    r"^[0-9][A-Za-z0-9.+~:-]*$": "it should be a version, such as 535.216.01-1~deb12u1",
    r"^[A-Za-z_]\w*(\.\w+)+$": "it should be a type with its module, such as sklearn.tree._tree.Tree",
    r"^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/=]+( [^\n]*)?$": "it should be a public "
    "SSH key, such as `ssh-ed25519 AAAA… ann@laptop`",
    r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?|[A-Za-z0-9-]+:[0-9]{1,5})(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$": "it "
    "should be a registry as images are named, such as registry.example.com/mirror, without https:// and / at its end",
}


def complaint(model: type[BaseModel], detail: ErrorDetails, loc: tuple[str | int, ...]) -> str:
    """Return what is wrong with a value and what would be right."""
    given = detail["input"]
    if detail["type"] == "literal_error":
        allowed = [word.strip("'") for word in detail["ctx"]["expected"].replace(" or ", ", ").split(", ")]
        return f"{given!r} is not allowed{nearest(str(given), allowed)} (allowed: {', '.join(allowed)})"
    text = re.sub(r"^(Input|String|Tuple) should ", "it should ", detail["msg"])
    text = _KINDS.get(detail["type"], text.partition(" after validation")[0])
    if detail["type"] == "string_pattern_mismatch":
        text = _FORMS.get(detail["ctx"]["pattern"], text)
    field = _model_at(model, loc[:-1]).model_fields.get(str(loc[-1]))
    show = isinstance(given, (str, int, float, bool)) and (field is None or field.repr)
    return f"{repr(given) + ': ' if show else ''}{text}{_range(field)}"


def _range(field: FieldInfo | None) -> str:
    """Return the least and the most that a number may be, where it has both."""
    rules = field.metadata if field else ()
    bounds = [getattr(rule, side) for side in ("ge", "le") for rule in rules if hasattr(rule, side)]
    return f" (allowed: {bounds[0]} to {bounds[1]})" if len(bounds) == 2 else ""


def follows_from_another(detail: ErrorDetails, details: Sequence[ErrorDetails]) -> bool:
    """Whether a sequence is too short only because an item of it is wrong, which has an error of its own."""
    loc = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(loc)] == loc and len(other["loc"]) > len(loc) for other in details
    )


def nearest(given: str, known: Iterable[str]) -> str:
    """Return a hint at the known word that is most like the given one, if any is."""
    matches = difflib.get_close_matches(given, list(known), n=1, cutoff=0.6)
    return f"; did you mean {matches[0]!r}?" if matches else ""


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the model whose keys stand where ``loc`` leads."""
    for step in loc:
        field = model.model_fields.get(str(step))
        inner = _models_in(field.annotation) if field else []
        model = inner[0] if inner else model
    return model


def fields_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> tuple[str, ...]:
    """Return the keys that are known where ``loc`` leads."""
    fields = _model_at(model, loc).model_fields
    return tuple(field.alias or name for name, field in fields.items() if not field.exclude)


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for part in getattr(annotation, "__args__", ()) for found in _models_in(part)]
