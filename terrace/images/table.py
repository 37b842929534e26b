"""The list of images, `components/images.yaml`: what others publish, and what is built here."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated

from pydantic import Field
from ruamel.yaml import YAML

from terrace.images.reference import REPOSITORY, TAG, Reference
from terrace.spec_base import Model, Name, Url

TABLE = Path(__file__).parents[2] / "components" / "images.yaml"


class UpstreamImage(Model):
    """An image that others publish."""

    # A port in an address couldn't stand in the path that a mirror keeps the image at.
    repository: Annotated[str, Field(pattern=rf"^[a-z0-9-]+(\.[a-z0-9-]+)+/{REPOSITORY}$")]
    tag: Annotated[str, Field(pattern=rf"^{TAG}$")]
    page: Url = Field(description="Where upstream tells of its versions.")
    use: str = Field(min_length=1, description="What the platform has it for.")

    @property
    def reference(self) -> Reference:
        """Return where it is published."""
        return Reference(self.repository, self.tag)


class ImageTable(Model):
    """All images, as `components/images.yaml` holds them."""

    upstream: Mapping[Name, UpstreamImage]
    own: tuple[Name, ...] = Field(description="Names of the locks in `components/locks` that an image is made of.")

    @staticmethod
    @lru_cache(maxsize=1)
    def load(file: Path = TABLE) -> ImageTable:
        """Read the list.

        Raises:
            pydantic.ValidationError: The file is no list of images (a defect of Terrace).
        """
        return ImageTable.model_validate(YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8")))
