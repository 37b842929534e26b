"""The platform's own images: the hash-locked requirements that hosts install, on the image `python`.

An image's tag is a digest of everything that it is made from, so that one tag never stands for two contents.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from components.programs import lock_text
from terrace.images.reference import Reference

BIN = "/usr/local/bin"  # where executables of the lock, and Python's own, are in the image
USER_ID = 10001  # neither root's nor one that the base image has
NAMESPACE = "terrace"

_CONTAINERFILE = f"""\
# Made by `terrace images build` from components/locks/{{name}}.txt and components/images.yaml.
# Base: {{tagged}}
FROM {{base}}
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
RUN useradd --uid {USER_ID} --user-group --no-create-home --home-dir /tmp --shell /usr/sbin/nologin terrace
COPY requirements.txt /usr/local/share/terrace/requirements.txt
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf \\
    python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore \\
    --require-hashes --no-deps --only-binary=:all: --requirement=/usr/local/share/terrace/requirements.txt
USER {USER_ID}:{USER_ID}
"""


@dataclass(frozen=True)
class OwnImage:
    """An image that is built here.

    Args:
        name: The lock's name.
        base: The image that it is made on, where upstream publishes it.
    """

    name: str
    base: Reference

    @property
    def reference(self) -> Reference:
        """The image's name without a registry, as the lock has it."""
        whole = hashlib.sha256()
        for text in (self.containerfile(self.base), lock_text(self.name)):
            whole.update(hashlib.sha256(text.encode()).digest())
        return Reference(f"{NAMESPACE}/{self.name}", whole.hexdigest()[:16])

    def containerfile(self, base: Reference) -> str:
        """Return how it is built on ``base``, which is this image's base or a mirror's copy of that."""
        return _CONTAINERFILE.format(name=self.name, tagged=self.base.tagged, base=base)

    def context(self, base: Reference) -> dict[str, str]:
        """Return the files that a build on ``base`` needs: file name → content."""
        return {"Containerfile": self.containerfile(base), "requirements.txt": lock_text(self.name)}
