"""Which tests follow each other in one process, where there are several (``pytest -n 2``)."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

# These share something: this machine with its platform and its packages, or the control plane of a cluster.
TOGETHER = {
    "tests/host/": "machine",
    "tests/components/test_backup_ssh.py": "machine",
    "tests/kubernetes/": "cluster",
}


class Together(LoadScopeScheduling):
    """Gives what belongs together to one process, the largest groups first, and every other test to any."""

    def _split_scope(self, nodeid: str) -> str:
        return next((group for place, group in TOGETHER.items() if nodeid.startswith(place)), nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Share the tests out."""
    return Together(config, log)
