"""The calls of the Pulumi SDK that only the CLI can answer. Each is refused by name."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from terrace.engine.errors import UnsupportedError


class Unsupported(ABC):
    """A monitor's calls that need provider plugins, or features that this engine doesn't say it has."""

    @abstractmethod
    def refused(self, error: UnsupportedError) -> UnsupportedError:
        """End the operation because of a refusal, and return it to be raised."""

    def Call(self, request: Any) -> Any:  # noqa: N802
        """Refused: methods live in provider plugins."""
        raise self.unsupported(f"the method {request.tok}")

    def ExistsResource(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self.unsupported(f"asking whether {request.type} {request.id} exists")

    def RegisterPackage(self, request: Any) -> Any:  # noqa: N802
        """Refused: packages are provider plugins."""
        raise self.unsupported(f"the package {request.name}")

    def RegisterStackInvokeTransform(self, _: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self.unsupported("a transform of function calls")

    def RegisterResourceHook(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self.unsupported(f"the resource hook {request.name}")

    def RegisterErrorHook(self, request: Any) -> Any:  # noqa: N802
        """Refused."""
        raise self.unsupported(f"the error hook {request.name}")

    def unsupported(self, what: str) -> UnsupportedError:
        """Refuse something by its name."""
        return self.refused(
            UnsupportedError(f"{what} isn't supported by the embedded engine", fix="use --engine pulumi")
        )
