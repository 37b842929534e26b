"""A clock of the tests' own for a platform's services, which is set while they run. The machine's stays as it is.

A small library is loaded into each service before its own (``tests/host/programs/clock.c``), by a launcher that lies
over the platform's for as long. Debian's libfaketime would do, but can't wait for a moment of the monotonic clock, as
Python's `time.sleep` does. What asks the kernel by itself sees the machine's time: Prometheus, and all else in Go;
pipelines' own steps, whose environment is made anew; and the times of files.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.host.conftest import Platform
from tests.host.machine import program_pids, supervisor_status, wait_for

SOURCE = Path(__file__).parent / "programs" / "clock.c"
COMPILER = "tcc"  # Debian's package, which needs nothing else, is unpacked and not installed


class Clock:
    """The clock of an environment's services.

    Attributes:
        folder: What every service's user may read, for as long as there is this clock.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "moved-by"
        self.set_ahead(0)
        self._file.chmod(0o644)

    @property
    def variables(self) -> dict[str, str]:
        """What a service that is to see this clock is started with."""
        return {"LD_PRELOAD": str(self.folder / "clock.so"), "CLOCK_FILE": str(self._file)}

    def set_ahead(self, hours: float) -> None:
        """Have it be ahead of the machine's by so many hours, at once."""
        content = struct.pack("q", int(hours * 3600))
        if self._file.exists():  # written into, since the services hold it open
            with self._file.open("r+b", buffering=0) as file:
                file.write(content)
        else:
            self._file.write_bytes(content)


@contextmanager
def clock_of(platform: Platform, scratch: Path) -> Iterator[Clock]:
    """Give the platform's services a clock of their own; it is the machine's again in the end."""
    environment = platform.environment
    folder = Path(f"/run/terrace-{environment}-clock")
    folder.mkdir(mode=0o755)
    try:
        _compile(folder / "clock.so", scratch)
        clock = Clock(folder)
        launcher = Path(f"/opt/terrace/{environment}/launch.py")
        own = folder / "launch.py"
        text = launcher.read_text(encoding="utf-8")
        assert text.count('{"PATH"') == 1
        own.write_text(text.replace('{"PATH"', f'{{**{clock.variables}, "PATH"'), encoding="utf-8")
        own.chmod(0o755)
        subprocess.run(["mount", "--bind", own, launcher], check=True)
        try:
            _start_anew(platform)
            yield clock
        finally:
            subprocess.run(["umount", launcher], check=True)
            _start_anew(platform)
    finally:
        shutil.rmtree(folder)


def _start_anew(platform: Platform) -> None:
    """Kill every program, and wait until all are back and well."""
    environment = platform.environment
    before = program_pids(environment)
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        after = program_pids(environment)
        running = set(supervisor_status(environment).values()) == {"RUNNING"}
        return running and all(after.get(name, pid) != pid for name, pid in before.items())

    wait_for(back, 120)
    wait_for(lambda: platform.terrace("status", environment, check=False).returncode == 0, 120)


def _compile(library: Path, scratch: Path) -> None:
    get = ["apt-get", "--quiet", "-o", "APT::Sandbox::User=root", "download", COMPILER]
    if subprocess.run(get, cwd=scratch, check=False, capture_output=True).returncode != 0:
        subprocess.run(["apt-get", "--quiet", "update"], check=True, capture_output=True)
        subprocess.run(get, cwd=scratch, check=True, capture_output=True)
    (package,) = scratch.glob(f"{COMPILER}_*.deb")
    subprocess.run(["dpkg", "--extract", package, scratch], check=True)
    program = scratch / "usr" / "bin" / COMPILER
    subprocess.run([program, "-nostdlib", "-shared", "-o", library, SOURCE], check=True)
    library.chmod(0o755)
