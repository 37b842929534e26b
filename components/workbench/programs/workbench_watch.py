"""Shows Prometheus how people's workbenches are, and tells accounts that have none so.

``WORKBENCH_PORT`` is the port on loopback; ``WORKBENCH_PEOPLE`` is a JSON file, read anew each time:
``[{"person": …, "user": …, "socket": …}]``. What is shown, every user of the machine can see in ``/proc``.
"""

from __future__ import annotations

import json
import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LISTENS = 0x10000  # the kernel's flag __SO_ACCEPTCON
NONE = b"This account has no workbench: each person of the team whose role gives the right has one.\n"
METRICS = {
    "terrace_workbench_open": "1 when the workbench's socket is listened on.",
    "terrace_workbench_processes": "Processes of its user; 1 while it is asleep.",
    "terrace_workbench_memory_bytes": "Resident memory of its user's processes.",
}


def listening(table: str) -> set[str]:
    """Return the paths of Unix sockets that are listened on, of the kernel's table."""
    lines = [line.split(maxsplit=7) for line in table.splitlines()[1:]]
    return {words[7] for words in lines if len(words) > 7 and int(words[3], 16) & LISTENS}


def usage(proc: Path) -> dict[int, tuple[int, int]]:
    """Return uid → number of processes and their resident memory (bytes)."""
    found: dict[int, tuple[int, int]] = {}
    for folder in proc.glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile
            uid, pages = folder.stat().st_uid, int((folder / "statm").read_text().split()[1])
            count, memory = found.get(uid, (0, 0))
            found[uid] = count + 1, memory + pages * os.sysconf("SC_PAGE_SIZE")
    return found


def page(people: Iterable[dict[str, str]], proc: Path) -> str:
    """Return the metrics in Prometheus' text format."""
    sockets, used = listening((proc / "net" / "unix").read_text()), usage(proc)
    uids = {user.pw_name: user.pw_uid for user in pwd.getpwall()}
    values: dict[str, list[tuple[str, int]]] = {name: [] for name in METRICS}
    for one in people:
        count, memory = used.get(uids.get(one["user"], -1), (0, 0))  # the user may be yet to come
        for name, value in zip(METRICS, (int(one["socket"] in sockets), count, memory), strict=True):
            values[name].append((one["person"], value))
    lines = []
    for name, text in METRICS.items():
        lines += [f"# HELP {name} {text}", f"# TYPE {name} gauge"]
        lines += [f'{name}{{person="{person}"}} {value}' for person, value in values[name]]
    return "\n".join(lines) + "\n"


class Handler(BaseHTTPRequestHandler):
    """Answers /health and /metrics; through the gateway nothing comes here but who has no workbench."""

    server_version = "workbench"
    sys_version = ""

    def do_GET(self) -> None:  # the base class's name
        """Answer with the health, the metrics, or 404."""
        if self.path == "/health":
            self._answer(200, b"ok\n")
        elif self.path == "/metrics":
            people = json.loads(Path(os.environ["WORKBENCH_PEOPLE"]).read_text(encoding="utf-8"))
            self._answer(200, page(people, Path("/proc")).encode())
        else:
            self._answer(404, NONE)

    def _answer(self, code: int, content: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # the base class's name
        """Leave it to the gateway's log, which knows who asked."""


def main() -> None:
    """Serve until the process is told to end."""
    address = os.environ.get("LISTEN", "127.0.0.1"), int(os.environ["WORKBENCH_PORT"])
    ThreadingHTTPServer(address, Handler).serve_forever()


if __name__ == "__main__":
    main()
