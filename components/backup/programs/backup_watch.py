"""Looks which backups there are in an S3 bucket, and shows it as metrics.

``BUCKET`` and ``BUCKET_PREFIX`` say where, ``BACKUP_PARTS`` whose: a restic repository each, below a folder of its
name. The AWS_ variables name the store and the account. ``PORT`` and ``LISTEN`` are where it listens.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REGION = "us-east-1"  # a store of one's own has none, and signatures need one
EVERY_SECONDS = 300
PREFIX = "terrace_backup_"
METRICS = {
    "last_success_timestamp_seconds": "When the last backup succeeded; of none so far, since when one is waited for.",
    "kept": "How many backups there are.",
    "repository_bytes": "How much space all backups take.",
}


class Watch:
    """What is known of the backups.

    Args:
        client: A client of the store.
        bucket: The bucket.
        prefix: What names of its objects begin with.
        parts: Whose backups there should be.
    """

    def __init__(self, client: Any, bucket: str, prefix: str, parts: Sequence[str]) -> None:
        self._client, self._bucket, self._prefix, self._parts = client, bucket, prefix, parts
        self._started = time.time()
        self._known = {part: {"last_success_timestamp_seconds": self._started} for part in parts}

    def look(self) -> None:
        """Ask the store; what was known stays where it doesn't answer."""
        try:
            self._known = {part: self._look(part) for part in self._parts}
        except (BotoCoreError, ClientError) as error:
            print(f"the store doesn't answer: {error}", flush=True)

    def page(self) -> str:
        """Return the metrics."""
        values: dict[str, dict[str, float]] = {name: {} for name in METRICS}
        for part, known in self._known.items():
            for name, value in known.items():
                values[name][f'{{part="{part}"}}'] = value
        return "".join(
            f"# HELP {PREFIX}{name} {about}\n# TYPE {PREFIX}{name} gauge\n"
            + "".join(f"{PREFIX}{name}{labels} {value}\n" for labels, value in values[name].items())
            for name, about in METRICS.items()
        )

    def _look(self, part: str) -> dict[str, float]:
        """Return a repository's metrics: restic names a file for each backup below ``snapshots``."""
        folder = f"{self._prefix}{part}/"
        times: list[float] = []
        size = 0
        for found in self._objects(folder):
            size += found["Size"]
            if found["Key"].startswith(f"{folder}snapshots/"):
                times.append(found["LastModified"].timestamp())
        return {
            "last_success_timestamp_seconds": max(times, default=self._started),
            "kept": len(times),
            "repository_bytes": size,
        }

    def _objects(self, folder: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=folder)
        for page in pages:
            yield from page.get("Contents", ())


def serve(watch: Watch, address: tuple[str, int]) -> ThreadingHTTPServer:
    """Return a server of the metrics."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # http.server's name
            body = watch.page().encode() if self.path == "/metrics" else b"ok\n"
            self.send_response(200 if self.path in ("/metrics", "/health") else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Say nothing: Prometheus asks four times a minute."""

    return ThreadingHTTPServer(address, Page)


def main() -> None:
    """Look again and again, until the process is ended."""
    client = boto3.client(
        "s3",
        region_name=os.environ.get("AWS_DEFAULT_REGION", REGION),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 4, "mode": "standard"}),
    )
    parts = os.environ["BACKUP_PARTS"].split(",")
    watch = Watch(client, os.environ["BUCKET"], os.environ.get("BUCKET_PREFIX", ""), parts)
    server = serve(watch, (os.environ.get("LISTEN", "127.0.0.1"), int(os.environ["PORT"])))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    while True:
        watch.look()
        time.sleep(EVERY_SECONDS)


if __name__ == "__main__":
    main()
