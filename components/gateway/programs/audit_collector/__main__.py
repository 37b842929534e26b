"""Follows nginx's log of requests and sends what it says to the audit log: ``python3 -m audit_collector``.

The log is the spool: nginx writes it whether anybody reads it or not, so no request waits for the audit log, and what
was written is sent when there is somebody to send it to. What is about to be sent is noted before, so that it is made
of the same lines after a kill, and the audit log knows it by its id.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .acts import Acts
from .requests import Reader, Request
from .spool import Spool

PASS_SECONDS = 3.0
HEARTBEAT_SECONDS = 60.0  # between two signs of life
REQUEST_SECONDS = 30.0
Send = Callable[[list[dict[str, Any]]], int]


def sender(host: str, port: int, token: str = "") -> Send:
    """Return what sends events to the audit log and returns its status; raises OSError where it isn't there."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}

    def send(events: list[dict[str, Any]]) -> int:
        connection = http.client.HTTPConnection(host, port, timeout=REQUEST_SECONDS)
        try:
            connection.request("POST", "/events", json.dumps({"events": events}), headers)
            return connection.getresponse().status
        except http.client.HTTPException as error:
            raise OSError(str(error)) from None
        finally:
            connection.close()

    return send


def collect(spool: Spool, reader: Reader, send: Send) -> bool:
    """Send the next lines, and tell whether there were any.

    Raises:
        OSError: They were not taken; they are sent again.
    """
    lines = spool.next()
    if not lines:
        return False
    requests = [Request.parse(line) for line in lines]
    events = reader.events(filter(None, requests))
    status = send(events) if events else 200
    if status == 400:  # a defect, which must not hold up all that follows
        _put_aside(spool, lines, "the audit log refused {} lines")
    elif status >= 300:
        raise OSError(f"the audit log answers {status}")
    else:
        reader.taken()
        strange = [line for line, request in zip(lines, requests, strict=True) if not request]
        _put_aside(spool, strange, "{} lines of the gateway's log can't be read")
    spool.done(reader.seen)
    return True


def _put_aside(spool: Spool, lines: list[str], why: str) -> None:
    if lines:
        spool.put_aside(lines)
        print(f"{why.format(len(lines))}; they are in {spool.aside}", flush=True)


def accounts(file: Path, further: str) -> set[str]:
    """Return the names of accounts: those of the gateway's password file, and the services' own."""
    return {line.partition(":")[0] for line in file.read_text(encoding="utf-8").splitlines()} | set(further.split(","))


def main() -> None:
    """Collect until the process is ended.

    A pod's spool goes with it, so there what nginx wrote last is collected once both were told to end.
    """
    pid_file, file = Path(os.environ["NGINX_PID"]), Path(os.environ["ACCOUNTS_FILE"])
    spool = Spool(Path(os.environ["AUDIT_REQUESTS"]), lambda: os.kill(int(pid_file.read_text()), signal.SIGUSR1))
    reader = Reader((), Acts(), spool.seen)
    place = os.environ.get("AUDIT_HOST", "127.0.0.1"), int(os.environ["AUDIT_PORT"])
    send = sender(*place, os.environ.get("AUDIT_TOKEN", ""))
    alive = -HEARTBEAT_SECONDS
    told = threading.Event()
    if "AUDIT_HOST" in os.environ:  # a host's spool stays, and nginx waits for this program before it starts again
        signal.signal(signal.SIGTERM, lambda *_: told.set())
    is_last = False
    while True:
        try:
            reader.acts = Acts.load(Path(os.environ["AUDIT_ROUTES"]))
            reader.accounts = accounts(file, os.environ["AUDIT_ACCOUNTS"])
            while collect(spool, reader, send):
                pass
            if time.monotonic() - alive >= HEARTBEAT_SECONDS:  # also where lines came that say nothing of anybody
                send([])
                alive = time.monotonic()
        except OSError as error:
            print(f"not sent yet: {error}", flush=True)
        if is_last:
            return
        time.sleep(PASS_SECONDS)
        if told.is_set():
            time.sleep(PASS_SECONDS)  # so that nginx has ended, too
            is_last = True


if __name__ == "__main__":
    main()
