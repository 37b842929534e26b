"""References to container images."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
REPOSITORY = rf"{_PART}(?:/{_PART})*"
TAG = r"\w[\w.-]{0,127}"
DIGEST = r"sha256:[0-9a-f]{64}"


@dataclass(frozen=True, order=True)
class Reference:
    """An image: the whole address of its repository, a tag, and, once it is known, the digest behind the tag.

    >>> str(Reference("docker.io/library/postgres", "17.11"))
    'docker.io/library/postgres:17.11'
    """

    repository: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.repository}@{self.digest}" if self.digest else self.tagged

    @property
    def tagged(self) -> str:
        """The image by its tag, whether its digest is known or not."""
        return f"{self.repository}:{self.tag}"

    @property
    def host(self) -> str:
        """The registry's address, with its port where it has one."""
        return self.repository.partition("/")[0]

    @property
    def path(self) -> str:
        """The repository's name in its registry."""
        return self.repository.partition("/")[2]

    def below(self, registry: str) -> Reference:
        """Return the same image in the mirror ``registry``, which keeps it by its whole address."""
        return dataclasses.replace(self, repository=f"{registry}/{self.repository}")


def parse(text: str) -> Reference | None:
    """Return what a line of `images.lock`, ``repository:tag@digest``, stands for; None where it is none."""
    found = re.fullmatch(rf"({REPOSITORY}):({TAG})@({DIGEST})", text)
    return Reference(*found.groups()) if found else None
