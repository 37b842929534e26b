"""The gateway's access log, from nginx's datagrams to lines on standard output."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.gateway.programs import access_log


class Closed(Exception):
    """The socket's end, for a program that has none."""


class FakeSocket:
    """A socket that gives some datagrams."""

    def __init__(self, datagrams: list[bytes]) -> None:
        self.datagrams = iter(datagrams)

    def __enter__(self) -> FakeSocket:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def bind(self, path: str) -> None:
        assert not Path(path).exists(), "an address in use cannot be bound"

    def recv(self, most: int) -> bytes:
        assert most == 65536
        try:
            return next(self.datagrams)
        except StopIteration:
            raise Closed from None


def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *datagrams: bytes
) -> str:
    (tmp_path / "log.sock").touch()  # what an earlier run left
    monkeypatch.setenv("ACCESS_LOG_SOCKET", str(tmp_path / "log.sock"))
    monkeypatch.setattr(access_log.socket, "socket", lambda *_: FakeSocket(list(datagrams)))
    with pytest.raises(Closed):
        access_log.main()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("datagram", "line"),
    [
        (b'<190>Nov  4 01:02:03 nginx: {"path": "/"}', '{"path": "/"}'),
        (b"<190>Nov 24 01:02:03 nginx: a <190>Nov 24 01:02:03 nginx: b", "a <190>Nov 24 01:02:03 nginx: b"),
        (b"no header at all", "no header at all"),
        (b"<190>Nov 24 01:02:03 nginx: \xff", "\\xff"),
    ],
)
def test_a_line_is_printed_without_syslogs_header(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    datagram: bytes,
    line: str,
) -> None:
    assert printed(tmp_path, monkeypatch, capsys, datagram, b"next") == f"{line}\nnext\n"


@pytest.fixture
def program(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    environment = {"ACCESS_LOG_SOCKET": str(tmp_path / "log.sock")}
    with subprocess.Popen(
        [sys.executable, access_log.__file__], env=environment, stdout=subprocess.PIPE, text=True
    ) as program:
        yield program
        program.kill()


def test_the_program_prints_each_line_at_once(program: subprocess.Popen[str], tmp_path: Path) -> None:
    end = time.monotonic() + 10
    while not (tmp_path / "log.sock").is_socket():
        assert time.monotonic() < end
        time.sleep(0.02)
    assert program.stdout is not None
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nginx:
        nginx.connect(str(tmp_path / "log.sock"))
        nginx.send(b"<190>Nov 24 01:02:03 nginx: GET /")
        assert select.select([program.stdout], [], [], 5)[0], "the line is held back"
        assert program.stdout.readline() == "GET /\n"
