"""Keeps personal data out of a stream of bytes: what a step prints of its data is seen by more people than the data.

Masked are e-mail addresses, telephone numbers with a country's prefix, payment cards, and bank accounts (IBAN). The
last two have check digits, so that other long numbers stay.
"""

from __future__ import annotations

import re

# Longest end of the output that is held back until its line is whole; none of the patterns is longer than its half.
HELD_BYTES = 1024
EMAIL = re.compile(rb"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+")
PHONE = re.compile(rb"(?<![\w+.])\+[1-9]\d{0,2}[ -]?(?:\(\d{1,4}\)[ -]?)?\d(?:[ -]?\d){6,11}(?![\w.])")
CARD = re.compile(rb"(?<![\w.-])(?:4|5[1-5]|2[2-7]|3[47]|6(?:011|5))(?:[ -]?\d){11,17}(?![\w-])")
CARD_LENGTHS = {"2": {16}, "3": {15}, "4": {13, 16, 19}, "5": {16}, "6": {16}}
IBAN = re.compile(rb"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")


class PersonalMasker:
    """Replaces personal data in a stream by its kind in brackets, line by line."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """Take the stream's next bytes and return those that can be shown."""
        text = self._held + data
        cut = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
        if len(text) - cut > HELD_BYTES:
            cut = self._between_words(text)
        self._held = text[cut:]
        return mask(text[:cut])

    def flush(self) -> bytes:
        """Return what was held back, at the stream's end."""
        rest, self._held = self._held, b""
        return mask(rest)

    @staticmethod
    def _between_words(text: bytes) -> int:
        """Return where an endless line can be cut so that nothing that is masked is cut too, as far as can be told."""
        cut = len(text) - HELD_BYTES // 2
        for pattern in (EMAIL, PHONE, CARD, IBAN):
            for found in pattern.finditer(text):
                if found.start() < cut < found.end():
                    cut = found.start()
        return cut


def mask(text: bytes) -> bytes:
    """Return ``text`` with personal data replaced by its kind in brackets."""
    if b"@" in text:
        text = EMAIL.sub(b"[e-mail address]", text)
    if b"+" in text:
        text = PHONE.sub(b"[telephone number]", text)
    text = IBAN.sub(lambda found: b"[bank account]" if _is_account(found[0]) else found[0], text)
    return CARD.sub(lambda found: b"[payment card]" if _is_card(found[0]) else found[0], text)


def _is_card(found: bytes) -> bool:
    """Return whether the length fits the network and the check digit (Luhn's) is right."""
    digits = re.sub(rb"\D", b"", found).decode()
    doubled = [int(digit) * (1 + index % 2) for index, digit in enumerate(reversed(digits))]
    return len(digits) in CARD_LENGTHS[digits[0]] and sum(n - 9 if n > 9 else n for n in doubled) % 10 == 0


def _is_account(found: bytes) -> bool:
    """Return whether the check digits (ISO 13616, modulo 97) are right."""
    iban = found.replace(b" ", b"").decode()
    return int("".join(str(int(letter, 36)) for letter in iban[4:] + iban[:4])) % 97 == 1
