"""Reads commands, addresses, and paths as what they mean, however they are written."""

from __future__ import annotations

import ipaddress
import posixpath
import re
import shlex
import socket
from collections.abc import Iterator

PUNCTUATION = "();<>|&`"  # what ends a word of a shell without a space
SEVERAL = re.compile(rf"[\s{re.escape(PUNCTUATION)}]")
BRACKETED = re.compile(r"\[([^\]]*)\](:\d+)?")
NAMED = re.compile(r"([^:]*)(:\d+)?")
# Options and variables that say what is listened on.
BINDS = re.compile(r"(?i)(^|[-_.])(host|address|addr|bind|listen|ip)$|(?-i:^-[bH]$|(HOST|ADDRESS|BIND|LISTEN)$)")
ATTACHED = re.compile(r"-[bH](\S+)")  # gunicorn's -b:8000
# What is nothing else, wherever it stands in a text.
EVERY_ADDRESS = re.compile(
    r"(?<![\w.])0\.0\.0\.0(?![\w.])|\[[0:]*:[0:]*\]|(?<![\w:])::0?(?![\w:])|=\*$|(?<![\w.])\*:\d+$"
)
PORT_OF_ALL = re.compile(r":\d+")  # as a whole word

PATH = re.compile(r"/[^\s:,;='\"]*")


def plain_paths(text: str) -> str:
    """Return a text with each path in it in its shortest form: ``/var//x/../lib/.`` as ``/var/lib``."""
    return PATH.sub(lambda path: f"/{posixpath.normpath(path[0]).lstrip('/')}", text)


def shell_words(text: str) -> Iterator[str]:
    """Yield a word of a command, and every word in it where it is a script for a shell, or several options in one.

    What is quoted in a script is yielded as a whole and by its words: another shell may get it.
    """
    left = [text]
    while left:
        word = left.pop()
        yield word
        if SEVERAL.search(word):
            left.extend(reversed([part for part in _split(word) if part and len(part) < len(word)]))


def _split(script: str) -> list[str]:
    reader = shlex.shlex(script, posix=True, punctuation_chars=PUNCTUATION)
    reader.whitespace_split, reader.commenters = True, ""
    try:
        return list(reader)
    except ValueError:  # a quotation that doesn't end
        return SEVERAL.split(script)


def listens_everywhere(before: str, text: str) -> bool:
    """Tell whether ``text``, of the option or variable ``before``, has a program listen on every address."""
    for word in shell_words(text):
        option, given, value = word.partition("=")
        attached = ATTACHED.fullmatch(word)
        if (
            EVERY_ADDRESS.search(word)
            or PORT_OF_ALL.fullmatch(value if given else word)
            or (BINDS.search(option if given else before) and is_everywhere(value if given else word))
            or (attached and is_everywhere(attached[1]))
        ):
            return True
        before = word
    return False


def is_everywhere(address: str) -> bool:
    """Tell whether an address, with a port behind it or not, stands for every address of the machine."""
    place = address.partition("://")[2].partition("/")[0] or address
    found = BRACKETED.fullmatch(place) or NAMED.fullmatch(place)
    host, port = found.groups() if found else (place, None)
    return _is_unspecified(host) or (not host and bool(port))


def _is_unspecified(host: str) -> bool:
    if host == "*":
        return True
    try:
        found = ipaddress.ip_address(host)
        return (getattr(found, "ipv4_mapped", None) or found).is_unspecified
    except ValueError:
        pass
    try:  # 0, 0x0, and 0.0 are addresses, too
        return not re.search(r"\s", host) and socket.inet_aton(host) == bytes(4)
    except (OSError, ValueError):
        return False
