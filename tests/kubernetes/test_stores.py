"""What speaks with an S3 store, on an emulated one (moto): a bucket's Job, DVC's remote, the watch over backups."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from tests.kubernetes.stores import Store, free_port, install, running

MIB = 1024 * 1024
FILE = "files/md5/ab/cdef"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    binaries, port = install(tmp_path_factory.mktemp("store") / "venv"), free_port()
    with running([binaries / "moto_server", f"-p{port}"], port, {"PATH": os.environ["PATH"]}):
        yield Store(binaries, f"http://127.0.0.1:{port}")


@pytest.fixture(scope="module")
def remote(store: Store) -> Iterator[str]:
    store.make("dvc")
    with store.serving("data_versioning/programs/dvc_remote.py", BUCKET="dvc", BUCKET_PREFIX="team/") as url:
        yield url


def _ask(method: str, url: str, **options: Any) -> requests.Response:
    return requests.request(method, url, timeout=60, **options)


def test_a_buckets_job_can_be_repeated_and_the_bucket_keeps_versions(store: Store) -> None:
    for _ in range(2):
        assert store.make("models").splitlines() == [
            "models is there and keeps versions",
            "models can be written to",
        ]
    assert "<Status>Enabled</Status>" in store.ask("models?versioning")
    assert "<NoncurrentDays>90</NoncurrentDays>" in store.ask("models?lifecycle")
    assert "<Key>" not in store.ask("models?list-type=2")


def test_a_file_is_added_once_and_read_whole_or_in_part(remote: str, store: Store) -> None:
    url = f"{remote}/{FILE}"
    assert _ask("HEAD", url).status_code == 404
    assert _ask("PUT", url, data=b"hello world").status_code == 201
    again = _ask("PUT", url, data=b"other")
    assert (again.status_code, again.headers["Connection"]) == (409, "close")

    assert _ask("GET", url).content == b"hello world"
    head = _ask("HEAD", url)
    assert (head.status_code, head.headers["Content-Length"]) == (200, "11")
    part = _ask("GET", url, headers={"Range": "bytes=6-"})
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"world", "bytes 6-10/11")
    assert _ask("GET", url, headers={"Range": "bytes=50-"}).status_code == 416
    read = f"print(s3.get_object(Bucket='dvc', Key='team/{FILE}')['Body'].read().decode())"
    assert store.act(read) == "hello world\n"


@pytest.mark.parametrize("size", [0, 1, 40 * MIB + 3], ids=["empty", "a byte", "more than one part"])
def test_a_file_may_come_in_chunks(remote: str, size: int) -> None:
    content = os.urandom(size)
    url = f"{remote}/chunks/{size}"

    sent = _ask("PUT", url, data=(content[at : at + MIB] for at in range(0, size, MIB)))

    assert sent.status_code == 201
    assert _ask("GET", url).content == content


@pytest.mark.parametrize(
    "told",
    ["Content-Length: 100\r\n\r\nshort", "Transfer-Encoding: chunked\r\n\r\n20\r\nshort"],
    ids=["whole", "chunks"],
)
def test_a_file_that_is_cut_short_is_not_kept(remote: str, told: str) -> None:
    where = urlsplit(remote)
    with socket.create_connection((where.hostname, where.port), timeout=60) as client:
        client.sendall(f"PUT /cut/short HTTP/1.1\r\nHost: x\r\n{told}".encode())
        client.shutdown(socket.SHUT_WR)
        assert client.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert _ask("HEAD", f"{remote}/cut/short").status_code == 404


@pytest.mark.parametrize("path", ["", "a//b", "../bucket", "a/../../b", "a%00", ".git"])
def test_a_name_that_no_file_has_is_not_looked_for(remote: str, path: str) -> None:
    where = urlsplit(remote)
    with socket.create_connection((where.hostname, where.port), timeout=60) as client:
        client.sendall(f"GET /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 404 ")


def test_nothing_is_changed_deleted_or_listed(remote: str) -> None:
    assert [_ask(method, f"{remote}/{FILE}").status_code for method in ("DELETE", "POST", "PATCH")] == [501] * 3


def test_it_counts_what_it_is_asked(remote: str) -> None:
    _ask("PUT", f"{remote}/counted", data=b"12345")
    assert _ask("GET", f"{remote}/health").text == "ok\n"
    page = _ask("GET", f"{remote}/metrics").text
    assert 'terrace_data_requests_total{method="PUT",status="201"}' in page
    assert int(re.findall(r"(?m)^terrace_data_written_bytes_total (\d+)$", page)[0]) >= 5


def test_a_store_that_is_away_is_told(store: Store) -> None:
    gone = Store(store.binaries, f"http://127.0.0.1:{free_port()}")
    with gone.serving("data_versioning/programs/dvc_remote.py", BUCKET="dvc") as url:
        answer = _ask("GET", f"{url}/{FILE}")
    assert (answer.status_code, answer.text) == (503, "the store doesn't answer, see the log\n")


def test_the_watch_tells_of_each_part_how_old_its_last_backup_is(store: Store) -> None:
    before = time.time()
    store.make("backup")
    names = [f"all/databases/{name}" for name in ("config", "snapshots/1", "snapshots/2", "data/00/aa")]
    store.act(f"[s3.put_object(Bucket='backup', Key=name, Body=b'1234567') for name in {names}]")
    told = {"BUCKET": "backup", "BUCKET_PREFIX": "all/", "BACKUP_PARTS": "databases,timer"}
    with store.serving("backup/programs/backup_watch.py", **told) as url:
        end = time.monotonic() + 30
        while 'kept{part="timer"}' not in (page := _ask("GET", f"{url}/metrics").text):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert _ask("GET", f"{url}/health").status_code == 200

    assert 'terrace_backup_kept{part="databases"} 2\n' in page
    assert 'terrace_backup_repository_bytes{part="databases"} 28\n' in page
    assert 'terrace_backup_kept{part="timer"} 0\n' in page
    for part in ("databases", "timer"):  # of none, since when one is waited for
        told_at = re.findall(rf'last_success_timestamp_seconds{{part="{part}"}} (\S+)', page)
        assert before - 2 <= float(told_at[0]) <= time.time()
