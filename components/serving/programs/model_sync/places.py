"""Names under which versions are served: the model's own for production, ``<model>:candidate`` for the one beside it.

A registered model's name has no colon, so the candidate's place never is another model's.
"""

from __future__ import annotations

SEPARATOR = ":"
CANDIDATE = "candidate"


def candidate(model: str) -> str:
    """Return the name under which the model's candidate is served."""
    return f"{model}{SEPARATOR}{CANDIDATE}"


def model_of(place: str) -> str:
    """Return the registered model that is served under ``place``."""
    return place.partition(SEPARATOR)[0]


def is_candidate(place: str) -> bool:
    """Return whether ``place`` is a candidate's."""
    return SEPARATOR in place
