"""The gate against personal data: this project needs none, so any that turns up in a batch stops it.

Looked for are e-mail addresses, telephone numbers, payment cards, bank accounts (IBAN), and columns that by their names
hold people's names. A finding names the column and the kind, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

import pandas as pd
import phonenumbers

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
# First digits and lengths of the payment networks' numbers, with the blanks or dashes that people write.
CARD = re.compile(r"(?<!\d)(?:4|5[1-5]|2[2-7]|3[47]|6(?:011|5))(?:[ -]?\d){11,17}(?!\d)")
CARD_LENGTHS = {"2": {16}, "3": {15}, "4": {13, 16, 19}, "5": {16}, "6": {16}}
# Without a country's prefix a number is read as one of the United States, where the flights are.
REGION = "US"
PEOPLE = re.compile(
    r"(first|last|given|family|full|middle|maiden|passenger|customer|person|employee|contact|pilot|crew|user)_?name"
    r"|surname|(passenger|customer|person|employee|pilot|contact)s?|names?"
)
# Columns called `name` that were looked at: they name airports and airlines.
NOT_PEOPLE = frozenset({"airports.name", "airlines.name"})


def findings(tables: dict[str, pd.DataFrame]) -> list[str]:
    """Return a sentence for each column and kind of personal data in it; none means that none was found."""
    return [
        f"personal data: {table}.{column}: {what}"
        for table, frame in tables.items()
        for column in frame.columns
        for what in _in_column(f"{table}.{column}", frame[column])
    ]


def mask(text: str) -> str:
    """Return ``text`` with what looks like personal data replaced by its kind in brackets."""
    for kind, spans in KINDS.items():
        for start, end in sorted(spans(text), reverse=True):
            text = f"{text[:start]}[{kind}]{text[end:]}"
    return text


def _in_column(name: str, values: pd.Series) -> Iterator[str]:
    column = name.partition(".")[2]
    if PEOPLE.fullmatch(column.lower()) and name not in NOT_PEOPLE:
        yield "people's names, by what it is called"
    texts = _texts(values)
    for kind, spans in KINDS.items():
        count = sum(1 for text in texts if any(True for _ in spans(text)))
        if count:
            yield f"{kind} in {count} distinct value(s)"


def _texts(values: pd.Series) -> list[str]:
    """Return the distinct values that can hold personal data: texts, and whole numbers as long as a card's."""
    if values.dtype.kind in "iu":
        values = values[values.abs() >= 10**12]
    elif values.dtype.kind in "fbM":
        return []
    return [str(value) for value in values.dropna().unique()]


def _emails(text: str) -> Iterable[tuple[int, int]]:
    return [match.span() for match in EMAIL.finditer(text)] if "@" in text else []


def _phones(text: str) -> Iterable[tuple[int, int]]:
    if sum(letter.isdigit() for letter in text) < 7:
        return []
    return [(match.start, match.end) for match in phonenumbers.PhoneNumberMatcher(text, REGION)]


def _cards(text: str) -> Iterable[tuple[int, int]]:
    return [match.span() for match in CARD.finditer(text) if _is_card(re.sub(r"\D", "", match[0]))]


def _is_card(digits: str) -> bool:
    """Return whether the length fits the network and the check digit (Luhn's) is right."""
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return len(digits) in CARD_LENGTHS[digits[0]] and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _accounts(text: str) -> Iterable[tuple[int, int]]:
    return [match.span() for match in IBAN.finditer(text) if _is_account(match[0].replace(" ", ""))]


def _is_account(iban: str) -> bool:
    """Return whether the check digits (ISO 13616, modulo 97) are right."""
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1


KINDS: dict[str, Callable[[str], Iterable[tuple[int, int]]]] = {
    "e-mail address": _emails,
    "bank account": _accounts,
    "payment card": _cards,
    "telephone number": _phones,
}
