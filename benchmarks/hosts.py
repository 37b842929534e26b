"""What a platform costs for each of its hosts.

``python -m benchmarks.hosts`` makes machines in namespaces of this one (10; ``--hosts N``), each with an SSH server,
and brings up on all of them what every host has: its folders and tools, its firewall, and its links to the others.
Slots are left out: they cost the same wherever they are. Needs root, and packages; installs nothing on this machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figures import Figure, show
from tests.host.conftest import Platform
from tests.host.fleet import network, way, write_project
from tests.host.machines import Machine, machines

ENVIRONMENT = "ten-hosts"
HOSTS = 10
PARTS = ("host", "base", "firewall", "link")


def measure(count: int) -> Iterator[Figure]:
    """Bring up ``count`` hosts, look at them again, and take all of it away."""
    names = [f"host-{number}" for number in range(1, count + 1)]
    with tempfile.TemporaryDirectory() as name, machines(Path(name), *names) as made:
        folder = Path(name)
        project = write_project(folder / "project", ENVIRONMENT, _stack(made, folder / "key"))
        targets = [f"platform/{part}-{name}" for name in names for part in PARTS]
        targets += ["**terrace:Password::**", "**terrace:CertificateAuthority::**"]
        try:
            for what in (f"up over {count} hosts", "a second run, which changes nothing"):
                seconds = _up(project, targets)
                yield Figure(what, seconds, "s")
                yield Figure(f"{what}, for each host", seconds / count, "s")
        finally:
            project.terrace("destroy", ENVIRONMENT, "--yes", "--delete-data")


def _stack(made: dict[str, Machine], key: Path) -> str:
    """Return a stack file with every machine as a host; the second takes what the first doesn't, others nothing."""
    groups = {0: "data, tracking", 1: "serving, training, monitoring"}
    hosts = [
        f"      - {{name: {machine.name}, address: {machine.address}, groups: [{groups.get(number, 'training')}],"
        f" {way(machine, key)}}}\n"
        for number, machine in enumerate(made.values())
    ]
    head = "config:\n  terrace:tier: 1\n  terrace:target: host\n  terrace:platform:\n    name: platform\n"
    return f"{head}    network: {{{network()}}}\n    hosts:\n{''.join(hosts)}"


def _up(project: Platform, targets: list[str]) -> float:
    begun = time.perf_counter()
    project.terrace("up", ENVIRONMENT, "--yes", *(word for target in targets for word in ("--target", target)))
    return time.perf_counter() - begun


def main() -> None:
    """Show the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.hosts", description=__doc__)
    parser.add_argument("--hosts", type=int, default=HOSTS, help="how many (10)")
    show(measure(parser.parse_args().hosts))


if __name__ == "__main__":
    main()
