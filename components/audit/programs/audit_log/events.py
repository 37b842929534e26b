"""Events as they come in: who did what to what, and how it ended; checked, cut to length, and masked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OUTCOMES = ("begun", "ok", "failed", "refused")
LONGEST = 300  # characters of a text
ACTION = re.compile(r"[a-z][a-z_]{0,39}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
ID = re.compile(r"[\w.:-]{8,100}")
NAMES = {"id", "at", "actor", "action", "object", "outcome", "detail", "count"}
MAIL = re.compile(r"[\w.+-]+(@|%40)[\w-]+(\.[\w-]+)+")


class WrongEvent(ValueError):
    """What came in is no event."""


@dataclass(frozen=True)
class Event:
    """Something that somebody did.

    Args:
        id: Given by the source; what is sent twice is recorded once.
        at: When it happened, by the source's clock, ISO 8601.
        actor: Who did it: a person's or a service's account, or a user of the operating system.
        action: What was done.
        object: To what.
        outcome: One of ``OUTCOMES``.
        detail: What else there is to say.
        count: How many requests it stands for.
    """

    id: str
    at: str
    actor: str
    action: str
    object: str
    outcome: str
    detail: str = ""
    count: int = 1


def parse(document: Any) -> Event:
    """Return the event that JSON data describe.

    Raises:
        WrongEvent: They describe none.
    """
    if not isinstance(document, Mapping) or not {"id", "at", "actor", "action", "outcome"} <= document.keys() <= NAMES:
        raise WrongEvent(f"an event has {', '.join(sorted(NAMES))}")
    count = document.get("count", 1)
    if not isinstance(count, int) or not 1 <= count < 2**53:
        raise WrongEvent("count is no number")
    texts = {name: document.get(name, "") for name in NAMES - {"count"}}
    if not all(isinstance(text, str) for text in texts.values()):
        raise WrongEvent("all but count are texts")
    for name, pattern in (("id", ID), ("at", TIME), ("action", ACTION)):
        if not pattern.fullmatch(texts[name]):
            raise WrongEvent(f"{name} is not like {pattern.pattern}")
    if texts["outcome"] not in OUTCOMES:
        raise WrongEvent(f"outcome is none of {', '.join(OUTCOMES)}")
    masked = {name: mask(texts[name]) for name in ("actor", "object", "detail")}
    return Event(**{**texts, **masked}, count=count)


def mask(text: str) -> str:
    """Return a text without addresses of people and characters that no line shows, cut to length."""
    return MAIL.sub("[personal]", "".join(c if c.isprintable() else "?" for c in text))[:LONGEST]
