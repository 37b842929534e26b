"""Programs that speak with an S3 store, run as their pods run them, and a store of the tests' own."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import requests

REPOSITORY = Path(__file__).parents[2]
LOCK = Path(__file__).parent / "locks" / "store.txt"
START_SECONDS = 60
ACCOUNT = {"AWS_ACCESS_KEY_ID": "shop", "AWS_SECRET_ACCESS_KEY": "hush-hush"}


def install(folder: Path) -> Path:
    """Return the folder of executables of an environment with what the lock has."""
    uv = shutil.which("uv") or str(REPOSITORY / ".uv/bin/uv")
    subprocess.run([uv, "venv", "--quiet", "--python=3.11", folder], check=True)
    python = f"--python={folder}/bin/python"
    subprocess.run([uv, "pip", "install", "--quiet", "--require-hashes", python, f"--requirement={LOCK}"], check=True)
    return folder / "bin"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@contextlib.contextmanager
def running(command: list[str | Path], port: int, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a server while the block does."""
    process = subprocess.Popen(command, env=dict(environment), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_SECONDS
        while True:
            assert process.poll() is None, command
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert time.monotonic() < end, command
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Store:
    """A store that is up, and programs beside it."""

    binaries: Path
    url: str

    def environment(self, **more: str) -> dict[str, str]:
        """Return a program's variables."""
        return {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL_S3": self.url, **ACCOUNT, **more}

    def make(self, bucket: str) -> str:
        """Run the Job that makes a bucket; return what it says."""
        more = {"BUCKET_ADMIN": "admin", "BUCKET_ADMIN_KEY": "a", "BUCKET_USER": "shop", "BUCKET_USER_KEY": "hush-hush"}
        program = REPOSITORY / "components/artifact_store/programs/bucket.py"
        environment = self.environment(BUCKET=bucket, BUCKET_OLD_VERSIONS_DAYS="90", **more)
        command = [self.binaries / "python", program]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    @contextlib.contextmanager
    def serving(self, program: str, **more: str) -> Iterator[str]:
        """Run a server; the block has its address."""
        port = free_port()
        command: list[str | Path] = [self.binaries / "python", REPOSITORY / "components" / program]
        with running(command, port, self.environment(PORT=str(port), LISTEN="127.0.0.1", **more)):
            yield f"http://127.0.0.1:{port}"

    def ask(self, path: str) -> str:
        """Return what the store itself says of a bucket, which it tells everybody."""
        answer = requests.get(f"{self.url}/{path}", timeout=30)
        answer.raise_for_status()
        return answer.text

    def act(self, statement: str) -> str:
        """Return what Python prints, which has a client of the store as ``s3``."""
        script = f"import boto3; s3 = boto3.client('s3', region_name='us-east-1'); {statement}"
        command = [self.binaries / "python", "-c", script]
        return subprocess.run(command, env=self.environment(), check=True, capture_output=True, text=True).stdout
