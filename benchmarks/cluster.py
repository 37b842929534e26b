"""A platform in a cluster: how long a look at it takes, with many teams too, and to bring it up on played nodes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.figures import Figure, median_seconds, say
from tests.components.cluster import GROUPS
from tests.kubernetes.control_plane import ControlPlane, running
from tests.kubernetes.projects import Project
from tests.kubernetes.volumes import storage_class

RUNS = 3
TEAMS = {0: 3.0, 25: None, 50: 8.0, 100: None}  # how many → goal (s)


def measure(_env: str) -> Iterator[Figure]:
    """Measure on a control plane of the benchmark's own, which is built first. The environment doesn't matter."""
    with tempfile.TemporaryDirectory() as name:
        for count, goal in TEAMS.items():
            project = _with_teams(Path(name, str(count)), count)
            seconds = median_seconds(partial(project.json, "preview", "cluster"), RUNS)
            yield Figure(f"preview of tier 5 in a cluster, {count} teams", seconds, "s", goal, RUNS)
        folder = Path(name, "plane")
        folder.mkdir()
        with running(folder, say) as plane:
            yield from _life(Path(name, "up"), plane)


def _with_teams(folder: Path, count: int) -> Project:
    groups = "".join(f"        team-{number}: {{roles: [data_scientist]}}\n" for number in range(count))
    spaces = ", ".join(f"team-{number}: {{}}" for number in range(count))
    return Project(folder, 5, f"teams: {{{spaces}}}", lambda text: text.replace(GROUPS, GROUPS + groups))


def _life(folder: Path, plane: ControlPlane) -> Iterator[Figure]:
    with storage_class(plane, "of-the-benchmark") as storage:
        project = Project(folder, 3, f"kubeconfig: {plane.kubeconfig}, namespace: measured, storage_class: {storage}")
        for what, goal in (("up of tier 3 until all is ready", 40.0), ("up of tier 3, nothing to change", 5.0)):
            start = time.perf_counter()
            project.json("up", "cluster", "--yes")
            yield Figure(f"{what}, on a real API server with played nodes", time.perf_counter() - start, "s", goal)
        project.json("destroy", "cluster", "--yes")
