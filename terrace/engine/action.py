"""One thing to do to a resource: what the planner decides and the executor carries out."""

from __future__ import annotations

from dataclasses import dataclass

from terrace.engine.diff import Diff
from terrace.engine.model import Op
from terrace.engine.state import Resource


@dataclass(eq=False)
class Action:
    """One thing to do.

    Attributes:
        op: What.
        old: The resource before, if any.
        new: The resource after, if any.
        diff: What changed, for updates and replacements.
        delete_first: For a replacement: the old resource is gone already.
        refreshed: It only compares the state with what is there.
        left_out: It isn't worked on, because it is no target.
    """

    op: Op
    old: Resource | None
    new: Resource | None
    diff: Diff | None = None
    delete_first: bool = False
    refreshed: bool = False
    left_out: bool = False

    @property
    def resource(self) -> Resource:
        """The resource that it is about."""
        resource = self.new or self.old
        assert resource is not None  # noqa: S101 - an action has at least one of them
        return resource
