"""Errors that say where, what, why, and what to do; only the command line prints them."""

from __future__ import annotations

from collections.abc import Sequence


class FlightsError(Exception):
    """Something that ends a step.

    Args:
        what: What happened, in one sentence.
        where: The step, file, column, or service.
        why: The cause, if it is known.
        fix: What to do about it.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str, why: str = "", fix: str = "") -> None:
        self.what, self.where, self.why, self.fix = what, where, why, fix
        super().__init__(f"{where}: {what}")

    def __str__(self) -> str:
        """Return the whole message, a line for each of its parts."""
        lines = [f"{self.where}: {self.what}"]
        if self.why:
            lines.append(f"  why: {self.why}")
        if self.fix:
            lines.append(f"  fix: {self.fix}")
        return "\n".join(lines)


class SettingsError(FlightsError):
    """A variable or a value of the configuration is missing or wrong."""

    exit_code = 2


class KnownLaterError(FlightsError):
    """A feature would hold what is known only after the moment of prediction."""


class BadBatchError(FlightsError):
    """The data is not fit for training.

    Args:
        reasons: Every check that failed.
    """

    def __init__(self, reasons: Sequence[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__(
            f"the batch is refused, {len(reasons)} check(s) failed:\n    - " + "\n    - ".join(reasons),
            where="validate",
            fix="mend the source, or change the check if the world has changed; nothing was trained",
        )


class GateError(FlightsError):
    """The model is not good enough to be served."""


class DeploymentError(FlightsError):
    """The platform could not serve the model, or serves another answer than the model's own."""


class ServiceError(FlightsError):
    """A service of the platform refused or didn't answer."""
