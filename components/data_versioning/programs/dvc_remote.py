"""DVC's HTTP remote in an S3 bucket: files can be read and added, never changed or deleted.

``BUCKET`` is the bucket, ``BUCKET_PREFIX`` what names of its objects begin with; the AWS_ variables name the store and
the account. ``PORT`` and ``LISTEN`` are where it listens.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REGION = "us-east-1"  # a store of one's own has none, and signatures need one
BLOCK = 1024 * 1024
# Parts are sent one by one, so that a large file takes no more memory than a few of them.
TRANSFER = TransferConfig(multipart_chunksize=8 * BLOCK, multipart_threshold=8 * BLOCK, use_threads=False)
ADDED_AT_A_TIME = 8  # more would take more memory than the process has; the others wait
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
ABSENT = ("404", "NoSuchKey", "NotFound")
PREFIX = "terrace_data_"
METRICS = {
    "requests_total": "Requests by method and status.",
    "read_bytes_total": "Bytes that were read.",
    "written_bytes_total": "Bytes that were added.",
}


class CutShortError(Exception):
    """The client went away before its file had ended."""


class Body:
    """A request's body as a file: as long as it says, or in chunks."""

    def __init__(self, stream: BufferedIOBase, length: int | None) -> None:
        self._stream = stream
        self._is_chunked = length is None
        self._left = length or 0
        self._ended = length == 0
        self.bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Return the next ``size`` bytes, fewer only at the end; all that is left where it's negative.

        Raises:
            CutShortError: It ends too early.
        """
        found = bytearray()
        while not self._ended and (size < 0 or len(found) < size):
            if not self._left:
                self._begin_chunk()
                continue
            most = min(self._left, BLOCK if size < 0 else size - len(found))
            block = self._stream.read(most)
            if not block:
                raise CutShortError
            found += block
            self._left -= len(block)
            if not self._left:
                self._end_part()
        self.bytes += len(found)
        return bytes(found)

    def _begin_chunk(self) -> None:
        line = self._stream.readline(64)
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise CutShortError from None
        if self._left < 0:
            raise CutShortError
        if not self._left:
            while self._stream.readline(8192) not in (b"\r\n", b"\n", b""):
                pass  # what follows the last chunk
            self._ended = True

    def _end_part(self) -> None:
        if self._is_chunked:
            self._stream.readline(8)
        else:
            self._ended = True


class Remote:
    """The bucket.

    Args:
        client: A client of the store.
        bucket: The bucket's name.
        prefix: What names of its objects begin with.
    """

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client = client
        self._where = {"Bucket": bucket}
        self._adding = threading.BoundedSemaphore(ADDED_AT_A_TIME)
        self._prefix = prefix

    def look(self, name: str) -> dict[str, Any] | None:
        """Return what the store says of a file; None where there is none."""
        return self._found(lambda: self._client.head_object(**self._key(name)))

    def open(self, name: str, part: str | None) -> dict[str, Any] | None:
        """Return the store's answer with a file, or the bytes of it that an HTTP header ``Range`` asks for."""
        more = {"Range": part} if part else {}
        return self._found(lambda: self._client.get_object(**self._key(name), **more))

    def add(self, name: str, body: Body) -> None:
        """Store a file."""
        with self._adding:
            self._client.upload_fileobj(body, **self._key(name), Config=TRANSFER)

    def _key(self, name: str) -> dict[str, str]:
        return {**self._where, "Key": self._prefix + name}

    def _found(self, ask: Any) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = ask()
        except ClientError as error:
            if error.response["Error"]["Code"] in ABSENT:
                return None
            raise
        return answer


class Counters:
    """What was asked for so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: Counter[str] = Counter()

    def add(self, name: str, number: int = 1, labels: str = "") -> None:
        """Count."""
        with self._lock:
            self._values[f"{PREFIX}{name}{labels}"] += number

    def page(self) -> str:
        """Return them in Prometheus' text format."""
        with self._lock:
            values = dict(self._values)
        return "".join(
            f"# HELP {PREFIX}{name} {about}\n# TYPE {PREFIX}{name} counter\n"
            + "".join(f"{key} {value}\n" for key, value in sorted(values.items()) if key.startswith(PREFIX + name))
            for name, about in METRICS.items()
        )


class Server(ThreadingHTTPServer):
    """The remote's server."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], remote: Remote) -> None:
        super().__init__(address, Handler)
        self.remote, self.counters = remote, Counters()


class Handler(BaseHTTPRequestHandler):
    """Answers a request; other methods are refused by the base class."""

    server: Server
    server_version = "data"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 300

    def do_GET(self) -> None:  # the base class's name
        """Answer with a file, the health, or the metrics."""
        if self.path == "/health":
            self._say(200, "ok")
        elif self.path == "/metrics":
            self._say(200, self.server.counters.page(), "text/plain; version=0.0.4")
        else:
            self._answer(self._read)

    do_HEAD = do_GET  # noqa: N815

    def do_PUT(self) -> None:  # the base class's name
        """Add a file."""
        self._answer(self._write)

    def _answer(self, act: Any) -> None:
        name = unquote(urlsplit(self.path).path).removeprefix("/")
        try:
            if NAME.fullmatch(name):
                act(name)
            else:
                self._say(404, "there is no such file")
        except CutShortError:
            self._say(400, "the file ended too early")
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and error.response["Error"]["Code"] == "InvalidRange":
                self._say(416, "it isn't that long")
                return
            self.log_error("%s %s: %s", self.command, self.path, error)
            self._say(503, "the store doesn't answer, see the log")

    def _read(self, name: str) -> None:
        is_head = self.command == "HEAD"
        found = self.server.remote.look(name) if is_head else self.server.remote.open(name, self.headers.get("Range"))
        if found is None:
            self._say(404, "there is no such file")
            return
        self._count(206 if "ContentRange" in found else 200)
        self.send_response(206 if "ContentRange" in found else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(found["ContentLength"]))
        self.send_header("Accept-Ranges", "bytes")
        if "ContentRange" in found:
            self.send_header("Content-Range", found["ContentRange"])
        self.end_headers()
        if not is_head:
            self._send(found["Body"])

    def _send(self, body: Any) -> None:
        try:
            with body:
                for block in body.iter_chunks(BLOCK):
                    self.wfile.write(block)
                    self.server.counters.add("read_bytes_total", len(block))
        except BotoCoreError as error:
            self.log_error("%s was cut short: %s", self.path, error)
            self.close_connection = True  # so that the client sees it, too

    def _write(self, name: str) -> None:
        length = self.headers.get("Content-Length")
        is_chunked = self.headers.get("Transfer-Encoding", "").lower() == "chunked"
        if not is_chunked and not (length or "").isdigit():
            self._say(411, "how long is it?")
        elif self.server.remote.look(name) is not None:
            self._say(409, "it is there, and stays as it is")
        else:
            body = Body(self.rfile, None if is_chunked else int(length or 0))
            self.server.remote.add(name, body)
            self.server.counters.add("written_bytes_total", body.bytes)
            self._say(201, "stored")

    def _say(self, status: int, text: str, kind: str = "text/plain; charset=utf-8") -> None:
        if self.command == "PUT" and status != 201:
            self.close_connection = True  # the body may not have been read
        self._count(status)
        content = (text.rstrip() + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _count(self, status: int) -> None:
        if self.path not in ("/health", "/metrics"):
            self.server.counters.add("requests_total", labels=f'{{method="{self.command}",status="{status}"}}')

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Leave it to the gateway's log, which knows who asked."""


def main() -> None:
    """Serve until the process is ended."""
    client = boto3.client(
        "s3",
        region_name=os.environ.get("AWS_DEFAULT_REGION", REGION),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 4, "mode": "standard"}),
    )
    remote = Remote(client, os.environ["BUCKET"], os.environ.get("BUCKET_PREFIX", ""))
    server = Server((os.environ.get("LISTEN", "127.0.0.1"), int(os.environ["PORT"])), remote)
    print(json.dumps({"listening": server.server_address}), flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
