"""What a platform costs for each of its hosts.

Makes machines in namespaces of this one (10; ``python -m benchmarks.hosts --hosts N``), each with an SSH server, and
brings up on all of them what every host has: its folders and tools, its firewall, and its links to the others. Slots
are left out: they cost the same wherever they are. Needs root, and packages; installs nothing on this machine. The
machines share its processors, which as many real ones would not: what this machine itself works for each of them is
told apart.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Figure, end_in_order, say, show, watched
from tests.host.conftest import Platform
from tests.host.fleet import connections, network, way, write_project
from tests.host.machines import Machine, machines

ENVIRONMENT = "many-hosts"
HOSTS = 10
PARTS = ("host", "base", "firewall", "link")
# The first takes the data, the second what the first doesn't, each other one training.
GROUPS = ("data, tracking", "serving, training, monitoring")


def measure(_env: str = "", count: int = HOSTS) -> Iterator[Figure]:
    """Bring up ``count`` hosts and look at them again. They end with all that was made on them."""
    names = [f"host-{number}" for number in range(1, count + 1)]
    say(f"making {count} machines")
    with tempfile.TemporaryDirectory() as name, _connections_closed(), machines(Path(name), *names) as made:
        folder = Path(name)
        project = write_project(folder / "project", ENVIRONMENT, _stack(made, folder / "key"))
        targets = [f"platform/{part}-{name}" for name in names for part in PARTS]
        targets += ["**terrace:Password::**", "**terrace:CertificateAuthority::**"]
        for what in (f"up over {count} hosts", f"up over {count} hosts, nothing to change"):
            seconds, worked = _up(project, targets)
            yield Figure(what, seconds, "s")
            yield Figure(f"{what}, for each", seconds / count, "s")
            yield Figure(f"{what}, work here for each", worked / count, "s")


def _stack(made: dict[str, Machine], key: Path) -> str:
    """Return a stack file with every machine as a host."""
    groups = dict(enumerate(GROUPS))
    hosts = [
        f"      - {{name: {machine.name}, address: {machine.address}, groups: [{groups.get(number, 'training')}],"
        f" {way(machine, key)}}}\n"
        for number, machine in enumerate(made.values())
    ]
    head = "config:\n  terrace:tier: 1\n  terrace:target: host\n  terrace:platform:\n    name: platform\n"
    return f"{head}    network: {{{network()}}}\n    hosts:\n{''.join(hosts)}"


def _up(project: Platform, targets: list[str]) -> tuple[float, float]:
    """Bring the targets up; return how long that took, and how long this machine's processors worked (seconds)."""
    words = [word for target in targets for word in ("--target", target)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = watched("up", ENVIRONMENT, "--yes", "--project", str(project.root), *words, variables=project.variables)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@contextmanager
def _connections_closed() -> Iterator[None]:
    """Remove what ssh was told of the machines; their connections have ended with them."""
    before = set(connections())
    try:
        yield
    finally:
        for left in set(connections()) - before:
            shutil.rmtree(left)


def main() -> None:
    """Show the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.hosts", description=__doc__)
    parser.add_argument("--hosts", type=int, default=HOSTS, help="how many (10)")
    end_in_order()
    show(measure(count=parser.parse_args().hosts))


if __name__ == "__main__":
    main()
