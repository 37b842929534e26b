"""From nginx's log to the audit log: each request arrives once, whatever is killed."""

from __future__ import annotations

import os
from typing import Any

import pytest

from components.gateway.programs.audit_collector import __main__ as program
from components.gateway.programs.audit_collector import spool as spooling
from components.gateway.programs.audit_collector.spool import Spool
from tests.components import audit_lines
from tests.components.audit_lines import Nginx, line, nginx

__all__ = ["nginx"]  # a fixture


class AuditLog:
    """An audit log that takes events, or doesn't."""

    def __init__(self) -> None:
        self.taken: dict[str, dict[str, Any]] = {}
        self.status = 200
        self.dies_after_taking = False

    def send(self, found: list[dict[str, Any]]) -> int:
        if self.status == 0:
            raise ConnectionRefusedError
        if self.status == 200:
            self.taken.update({each["id"]: each for each in found})
        if self.dies_after_taking:
            raise ConnectionResetError
        return self.status

    @property
    def requests(self) -> int:
        return sum(each["count"] for each in self.taken.values() if each["action"] != "login")


def test_each_request_arrives_once_however_often_it_is_killed(nginx: Nginx) -> None:
    log = AuditLog()
    for _ in range(5):
        spool, reader = Spool(nginx.path, nginx.reopen), audit_lines.reader()  # the program is new each time
        nginx.write(3)
        log.dies_after_taking = True
        with pytest.raises(ConnectionResetError):
            program.collect(spool, reader, log.send)
        nginx.write(2)  # more lines, before it is tried again
        log.dies_after_taking = False
    spool = Spool(nginx.path, nginx.reopen)
    while program.collect(spool, audit_lines.reader(), log.send):
        pass
    assert log.requests == nginx.written == 25


@pytest.mark.parametrize("status", [0, 403, 500, 503])
def test_what_nobody_takes_waits(nginx: Nginx, status: int) -> None:
    log, spool, reader = AuditLog(), Spool(nginx.path, nginx.reopen), audit_lines.reader()
    log.status = status
    nginx.write(4)
    with pytest.raises(OSError, match=f"answers {status}" if status else None):
        program.collect(spool, reader, log.send)
    log.status = 200
    while program.collect(spool, reader, log.send):
        pass
    assert log.requests == 4
    assert not program.collect(spool, reader, log.send)


def test_what_the_audit_log_will_never_take_is_put_aside(nginx: Nginx, capsys: pytest.CaptureFixture[str]) -> None:
    log, spool, reader = AuditLog(), Spool(nginx.path, nginx.reopen), audit_lines.reader()
    log.status = 400
    nginx.write(2)
    assert program.collect(spool, reader, log.send)
    assert len(spool.aside.read_text().splitlines()) == 2
    assert "refused 2 lines" in capsys.readouterr().out
    assert not program.collect(spool, reader, log.send)


def test_no_character_of_a_path_ends_its_line(nginx: Nginx, capsys: pytest.CaptureFixture[str]) -> None:
    """Without this a person keeps a request out of the log; nginx passes these through."""
    log, spool = AuditLog(), Spool(nginx.path, nginx.reopen)
    for number, character in enumerate("\u2028\u2029\x85\x0b\x1c", start=1):
        written = line(number, "PUT /dvc/a~b").replace(
            "~", character if character > "\x20" else f"\\u{ord(character):04x}"
        )
        nginx.file.write(written + "\n")
    nginx.file.flush()
    with nginx.path.open("ab") as file:
        file.write(line(6, "PUT /dvc/c~").replace("~", "\udcff").encode(errors="surrogateescape") + b"\n")
    assert program.collect(spool, audit_lines.reader(), log.send)
    assert log.requests == 6
    assert not spool.aside.exists()
    assert capsys.readouterr().out == ""


def test_what_is_no_line_is_kept_aside_once(nginx: Nginx, capsys: pytest.CaptureFixture[str]) -> None:
    log, spool, reader = AuditLog(), Spool(nginx.path, nginx.reopen), audit_lines.reader()
    nginx.write(1)
    nginx.file.write("half of it\n")
    nginx.write(1)
    log.status = 503
    with pytest.raises(OSError, match="503"):
        program.collect(spool, reader, log.send)
    log.status = 200
    assert program.collect(spool, reader, log.send)
    assert log.requests == 2
    assert spool.aside.read_text() == "half of it\n"
    assert "1 lines of the gateway's log can't be read" in capsys.readouterr().out


def logins(log: AuditLog) -> int:
    return sum(each["action"] == "login" for each in log.taken.values())


def test_a_login_that_was_not_taken_comes_again(nginx: Nginx) -> None:
    log, spool, reader = AuditLog(), Spool(nginx.path, nginx.reopen), audit_lines.reader()
    log.status = 503
    nginx.write(1)
    for _ in range(2):
        with pytest.raises(OSError, match="503"):
            program.collect(spool, reader, log.send)
    log.status = 200
    assert program.collect(spool, reader, log.send)
    assert logins(log) == 1


def test_who_was_there_before_a_restart_does_not_log_in_anew(nginx: Nginx) -> None:
    log = AuditLog()
    for _ in range(3):
        spool = Spool(nginx.path, nginx.reopen)
        nginx.write(1)
        assert program.collect(spool, audit_lines.reader(spool.seen), log.send)
    assert (log.requests, logins(log)) == (3, 1)


def test_half_a_line_waits_for_its_other_half(nginx: Nginx) -> None:
    log, spool, reader = AuditLog(), Spool(nginx.path, nginx.reopen), audit_lines.reader()
    whole = line(1)
    nginx.file.write(whole[:20])
    nginx.file.flush()
    assert not program.collect(spool, reader, log.send)
    nginx.file.write(whole[20:] + "\n")
    nginx.file.flush()
    assert program.collect(spool, reader, log.send)
    assert log.requests == 1


def drain(nginx: Nginx, log: AuditLog) -> None:
    spool = Spool(nginx.path, nginx.reopen)  # after a kill
    while program.collect(spool, audit_lines.reader(), log.send):
        pass


def test_a_large_file_is_moved_aside_and_nothing_of_it_is_lost(nginx: Nginx, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "LARGEST_BYTES", 1000)
    monkeypatch.setattr(spooling, "PASS_BYTES", 700)
    log, old = AuditLog(), nginx.path.with_suffix(".old")
    nginx.write(20)
    drain(nginx, log)  # its last pass moves it, and asks for a new one
    drain(nginx, log)
    assert old.exists()
    assert nginx.reopened == 1
    nginx.write(20)
    drain(nginx, log)
    with old.open("a") as late:  # by a process of nginx that was about to end
        late.write(line(41) + "\n")
    drain(nginx, log)
    assert log.requests == 41
    assert old.exists(), "somebody may still write to it"

    os.utime(old, (1, 1))
    drain(nginx, log)
    drain(nginx, log)
    nginx.write(20)
    drain(nginx, log)
    assert log.requests == 61


def test_a_file_that_somebody_else_took_away_is_begun_anew(nginx: Nginx) -> None:
    log = AuditLog()
    nginx.write(9)
    drain(nginx, log)
    nginx.path.unlink()
    nginx.reopen()
    nginx.write(2)
    drain(nginx, log)
    assert log.requests == 11


def test_a_kill_while_the_file_is_moved_loses_and_doubles_nothing(
    nginx: Nginx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spooling, "LARGEST_BYTES", 1000)
    log = AuditLog()
    nginx.write(20)

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Spool, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            drain(nginx, log)
    nginx.write(3)  # still the same file
    drain(nginx, log)
    assert log.requests == 23
