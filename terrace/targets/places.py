"""Where a service's things are on a host, and how the names of places become what they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pulumi

Fill = Callable[[pulumi.Input[str]], pulumi.Input[str]]
PLACEHOLDER = re.compile(r"\$\((BIN|CONFIG|DATA|SOCKET|PYTHON|LISTEN)\)")


def data_folder(environment: str, service: str) -> str:
    """Return the folder that outlives restarts, upgrades, and a destroy that keeps data."""
    return f"/var/lib/terrace/{environment}/{service}"


def software_folder(environment: str, service: str) -> str:
    """Return the folder that holds the service's software."""
    return f"/opt/terrace/{environment}/{service}"


def socket_path(environment: str, service: str) -> str:
    """Return the service's Unix socket."""
    return f"{software_folder(environment, service)}/socket/http"


def filler(environment: str, service: str) -> Fill:
    """Return what puts the service's paths on a host in place of the names of places in a text."""
    places = {
        "BIN": f"{software_folder(environment, service)}/venv/bin",
        "CONFIG": f"/etc/terrace/{environment}/{service}",
        "DATA": data_folder(environment, service),
        "SOCKET": socket_path(environment, service),
        "PYTHON": "/usr/bin/python3",
        "LISTEN": "127.0.0.1",
    }
    return filler_of(places)


def filler_of(places: Mapping[str, str]) -> Fill:
    """Return what puts ``places`` in place of their names in a text."""

    def fill_text(text: str) -> str:
        return PLACEHOLDER.sub(lambda match: places[match.group(1)], text)

    def fill(value: pulumi.Input[str]) -> pulumi.Input[str]:
        if isinstance(value, str):
            return fill_text(value)
        output: pulumi.Output[str] = pulumi.Output.from_input(value)
        return output.apply(fill_text)

    return fill
