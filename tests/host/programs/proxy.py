"""An HTTP proxy for machines that reach nothing but this one: ``proxy.py ADDRESS PORT``.

Where this machine has a proxy itself (``HTTP_PROXY``), every connection is handed on to that one.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from urllib.parse import urlsplit

HEAD_BYTES = 65536


def main() -> None:
    """Take connections until killed."""
    server = socket.create_server((sys.argv[1], int(sys.argv[2])))
    print("ready", flush=True)
    while True:
        client, _ = server.accept()
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def serve(client: socket.socket) -> None:
    """Hand one connection on."""
    with client, suppress(OSError):
        head = b""
        while b"\r\n\r\n" not in head and len(head) < HEAD_BYTES:
            part = client.recv(HEAD_BYTES)
            if not part:
                return
            head += part
        upstream = urlsplit(os.environ.get("HTTP_PROXY") or os.environ.get("http_proxy") or "")
        place, first = _direct(head, client) if not upstream.hostname else ((upstream.hostname, upstream.port), head)
        with socket.create_connection(place, timeout=60) as server:
            server.settimeout(None)
            server.sendall(first)
            back = threading.Thread(target=pump, args=(server, client), daemon=True)
            back.start()
            pump(client, server)
            back.join()


def _direct(head: bytes, client: socket.socket) -> tuple[tuple[str, int], bytes]:
    """Return where the request goes, and what is sent there first."""
    line, rest = head.split(b"\r\n", 1)
    method, target, version = line.split(b" ")
    if method == b"CONNECT":
        host, _, port = target.decode().rpartition(":")
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return (host, int(port)), head.split(b"\r\n\r\n", 1)[1]
    address = urlsplit(target.decode())
    path = (address.path or "/") + (f"?{address.query}" if address.query else "")
    fields = [field for field in rest.split(b"\r\n") if not field.lower().startswith((b"connection:", b"proxy-"))]
    fields.insert(0, b"Connection: close")  # one request for each connection: the next may go elsewhere
    start = b" ".join([method, path.encode(), version])
    return (str(address.hostname), address.port or 80), b"\r\n".join([start, *fields])


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Hand on what comes, until its end."""
    with suppress(OSError):
        while part := source.recv(HEAD_BYTES):
            sink.sendall(part)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
