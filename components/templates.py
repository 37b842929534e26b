"""Configuration files that are filled in: ``components/<slot>/templates/<name>.j2``, and those of Ansible roles."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

COMPONENTS = Path(__file__).parent
ROLES = COMPONENTS.parent / "ansible" / "roles"


def render(slot: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of ``slot`` filled with ``values``, which are escaped where it is HTML.

    Raises:
        jinja2.UndefinedError: The template needs a value that is not given (a defect of the flavor).
    """
    return _environment(COMPONENTS / slot / "templates", name).get_template(f"{name}.j2").render(values)


def render_of_role(role: str, name: str, **values: Any) -> str:
    """Return the template ``name`` of the Ansible role ``role``, filled as Ansible does on a host.

    Raises:
        jinja2.TemplateError: The template needs a value that is not given, or a filter that Ansible alone has (a
            defect of Terrace).
    """
    environment = _environment(ROLES / role / "templates", name)
    environment.filters["regex_replace"] = lambda text, pattern, by: re.sub(pattern, by, text)
    environment.filters["to_json"] = json.dumps
    return environment.get_template(f"{name}.j2").render(values)


def _environment(folder: Path, name: str) -> Environment:
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
    )
