"""Which tests may run beside each other in several processes."""

from __future__ import annotations

from pathlib import Path

import pytest

# One process runs all of a folder that shares something: the platform of this machine, or the control plane.
TOGETHER = {Path(__file__).parent / "host": "machine", Path(__file__).parent / "kubernetes": "cluster"}


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say of each test to which group it belongs."""
    for item in items:
        if group := next((name for folder, name in TOGETHER.items() if item.path.is_relative_to(folder)), None):
            item.add_marker(pytest.mark.xdist_group(group))
