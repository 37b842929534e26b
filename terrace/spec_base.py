"""What all parts of the spec are made of."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]


def _address(value: str) -> str:
    if all(part.replace("-", "").isalnum() and part.isascii() for part in value.split(".")):
        return value
    try:
        ipaddress.ip_address(value)
    except ValueError:
        raise PydanticCustomError("address", "it is neither an IP address nor a name") from None
    return value


Address = Annotated[str, AfterValidator(_address)]


class Model(BaseModel):
    """A part of the spec: immutable, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
