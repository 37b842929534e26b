"""Configuration files that a flavor fills in: ``components/<slot>/templates/<name>.j2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

COMPONENTS = Path(__file__).parent


def render(slot: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of ``slot`` filled with ``values``, which are escaped where it is HTML.

    Raises:
        jinja2.UndefinedError: The template needs a value that is not given (a defect of the flavor).
    """
    environment = Environment(
        loader=FileSystemLoader(COMPONENTS / slot / "templates"),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
    return environment.get_template(f"{name}.j2").render(values)
