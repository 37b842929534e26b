"""Servers of HTTP on loopback, as tests of this folder ask them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Quiet:
    """A handler that says nothing of its requests, which would stand in the output of the tests."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def listening(server: http.server.HTTPServer) -> Iterator[int]:
    """Serve meanwhile, and give the port."""
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
