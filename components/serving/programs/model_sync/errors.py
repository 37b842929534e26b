"""What can go wrong with one version, in words for the person who deployed it."""

from __future__ import annotations

import re


class DeploymentError(Exception):
    """The version cannot be served; the text says why and goes into the registry."""

    def __init__(self, text: str) -> None:
        super().__init__(re.sub(r"://[^/@\s]+@", "://", text).strip())


class RegistryAwayError(Exception):
    """The registry cannot be asked now; what is served stays as it is."""
