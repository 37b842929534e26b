"""What the service refuses, and the shape in which it says so."""

from __future__ import annotations


class Refused(Exception):
    """A request that can't be done.

    Args:
        status: The HTTP status to answer with.
        what: What is wrong, in one sentence.
        why: The cause.
        fix: What the caller can do about it.
    """

    def __init__(self, status: int, what: str, why: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.status = status
        self.what = what
        self.why = why
        self.fix = fix

    def body(self) -> dict[str, dict[str, str]]:
        """Return the answer's body: ``{"error": {"what", "why", "fix"}}``."""
        return {"error": {"what": self.what, "why": self.why, "fix": self.fix}}
