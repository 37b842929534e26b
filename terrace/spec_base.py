"""What every part of the spec is made of: its base class, its errors, names, addresses, and secrets in it."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag
from pydantic_core import PydanticCustomError

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
Url = Annotated[str, Field(pattern=r"^https?://")]
# Written in one way alone, since paths are compared: no //, /./, /../, and no / at the end.
AbsolutePath = Annotated[str, Field(pattern=r"^(/(\.?[\w-][\w.-]*|\.\.[\w.-]+))+$")]
# Without a scheme, as images are named. A name without dot or port would be looked for at Docker Hub.
ImageRegistry = Annotated[
    str,
    Field(
        pattern=r"^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]{1,5})?|[A-Za-z0-9-]+:[0-9]{1,5})(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$"
    ),
]

PROBLEMS = "problems"  # the type of pydantic's error that holds several, each with its own place


class Problem(NamedTuple):
    """What doesn't fit together in a valid part of the spec; ``path`` leads to it from that part."""

    path: tuple[str | int, ...]
    text: str


def refuse(problems: list[Problem]) -> None:
    """Raise all of ``problems`` as one of pydantic's errors, unless there are none."""
    if problems:
        text = "; ".join(f"{'.'.join(map(str, problem.path))}: {problem.text}" for problem in problems)
        raise PydanticCustomError(PROBLEMS, "{text}", {"text": text, "problems": problems})


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


class SecretReference(Model):
    """A Pulumi config secret, as it stands in the stack file; the program asks Pulumi for its value."""

    secure: str = Field(
        description="Ciphertext, by `terrace encrypt` or `pulumi config set --secret`.",
        repr=False,
        json_schema_extra={"pattern": r"^v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+$"},
    )


def _kind(value: Any) -> str:
    return "<secret>" if isinstance(value, (dict, SecretReference)) else "<text>"


def _without_account(url: str) -> str:
    if "@" in re.split(r"[/?#]", url.partition("://")[2])[0]:
        raise PydanticCustomError(
            "plain_account", "it holds an account in the clear; put in what `terrace encrypt` prints for all of it"
        )
    return url


PlainUrl = Annotated[Url, AfterValidator(_without_account)]
UrlOrSecret = Annotated[
    Annotated[PlainUrl, Tag("<text>")] | Annotated[SecretReference, Tag("<secret>")], Discriminator(_kind)
]


def _encrypted(value: Any) -> Any:
    if isinstance(value, (dict, SecretReference)):
        return value
    raise PydanticCustomError(
        "plain_secret", "it is a secret and stands here in the clear; put in what `terrace encrypt` prints"
    )


Secret = Annotated[SecretReference, BeforeValidator(_encrypted)]
