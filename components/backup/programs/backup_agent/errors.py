"""What ends a command of the agent with a message."""

from __future__ import annotations


class AgentError(Exception):
    """Something that the person who asked has to know.

    Args:
        what: What is wrong, in one sentence.
        why: The cause, where it is known.
        fix: What to do about it.
        refused: Whether nothing was touched.
    """

    def __init__(self, what: str, *, why: str = "", fix: str = "", refused: bool = False) -> None:
        self.what = what
        self.why = why
        self.fix = fix
        self.refused = refused
        super().__init__(f"{what}: {why}" if why else what)
