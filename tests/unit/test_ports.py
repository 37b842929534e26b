"""Who listens on a port, read from tables as Linux writes them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from terrace import ports
from terrace.ports import Holder, listeners

HEADER = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"


def row(address: str, port: int, state: str, uid: int, inode: str) -> str:
    return (
        f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1\n"
    )


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "tcp", tmp_path / "tcp6"
    listening = row("0100007F", 15000, "0A", 0, "11") + row("0100007F", 15001, "01", 0, "12")
    first.write_text(HEADER + listening + row("00000000", 8443, "0A", 4242424, "13"))
    second.write_text(HEADER + row("0" * 32, 15432, "0A", os.getuid(), "14"))
    monkeypatch.setattr(ports, "TABLES", (first, second, tmp_path / "absent"))


@pytest.mark.usefixtures("tables")
def test_only_wanted_ports_in_the_state_listening_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_process", lambda inode: f"program (pid {inode})")

    assert listeners([15000, 15001, 15432, 9]) == {
        15000: Holder("root", "program (pid 11)"),
        15432: Holder(ports._user(os.getuid()), "program (pid 14)"),
    }


@pytest.mark.usefixtures("tables")
def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_process", lambda inode: "")

    assert str(listeners([8443])[8443]) == "a process of user 4242424"


def test_a_holder_with_its_process() -> None:
    assert str(Holder("ann", "nginx (pid 7)")) == "nginx (pid 7) of ann"


def test_a_process_is_found_by_what_it_has_open(tmp_path: Path) -> None:
    """This process, by one of its open files in place of a socket."""
    held = tmp_path / "held"
    with held.open("w"):
        assert ports._process("0") == ""
        links = {str(link.readlink()) for link in Path("/proc/self/fd").iterdir() if link.exists()}
        assert str(held) in links
