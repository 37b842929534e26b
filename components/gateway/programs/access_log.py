"""Prints nginx's access log, which it gets by a datagram socket: nginx can't write to a supervisor's pipe.

``ACCESS_LOG_SOCKET`` is the socket's path. What keeps the output, and for how long, is up to the supervisor.
"""

import os
import re
import socket
from pathlib import Path

LARGEST_DATAGRAM_BYTES = 65536
SYSLOG_HEADER = re.compile(r"^<\d+>\w{3} +\d+ [\d:]+ nginx: ")


def main() -> None:
    """Print a line for each request."""
    path = Path(os.environ["ACCESS_LOG_SOCKET"])
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(path))
        while True:
            line = log.recv(LARGEST_DATAGRAM_BYTES).decode(errors="backslashreplace")
            print(SYSLOG_HEADER.sub("", line), flush=True)


if __name__ == "__main__":
    main()
