"""A place on another machine, by a real SSH server and the real restic: all that a folder here does, and what fails."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import __main__ as command_line
from components.backup.programs.backup_agent import choice, job, places, restic, restore, service
from components.backup.programs.backup_agent.choice import Request
from components.backup.programs.backup_agent.errors import AgentError
from components.backup.programs.backup_agent.places import Place
from components.backup.programs.backup_agent.records import Records
from components.backup.programs.backup_agent.settings import Settings
from tests.components.backup_machine import ACCOUNT, Machine, Programs, programs
from tests.components.backup_world import World, front_of

REPOSITORY = "20260101T023000Z"


def _quiet(_step: str, percent: float | None = None) -> None:
    """Show nothing."""


@pytest.fixture(scope="module")
def installed() -> Iterator[Programs]:
    with programs() as found:
        yield found


@pytest.fixture
def machine(installed: Programs) -> Iterator[Machine]:
    machine = Machine(installed)
    try:
        machine.start()
        yield machine
    finally:
        machine.remove()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: Machine, installed: Programs) -> World:
    """A host whose place is on the machine."""
    world = World(tmp_path, monkeypatch)
    (tmp_path / "bin" / "setpriv").unlink()  # the real one
    monkeypatch.setattr(restic, "RESTIC", str(installed.restic))
    world.settings = world.other_settings(place=machine.place("case"))
    return world


@pytest.fixture
def known(world: World, machine: Machine) -> World:
    """The same, with a repository, as far as that can be told without opening it."""
    repository = machine.backups / "case" / REPOSITORY
    repository.mkdir(parents=True)
    (repository / "config").touch()
    Records(world.settings).keep_repository(REPOSITORY)
    return world


def test_a_platform_lives_with_it_and_a_new_one_finds_what_it_left(world: World, machine: Machine) -> None:
    repository = job.initialise(world.settings)
    assert repository.startswith(f"{ACCOUNT}@127.0.0.1:{machine.backups}/case/")
    assert job.initialise(world.settings) == repository, "it is made once"
    world.settings = world.other_settings(place=world.settings.place, keep={"last": 1})
    made = [job.back_up(world.settings, _quiet) for _ in range(2)]
    assert {each["repository"] for each in made} == {repository}
    assert [each["id"] for each in job.listed(world.settings)] == [made[-1]["id"]], "the last one"
    page = service.page(Records(world.settings).attempts())
    assert "terrace_backup_last_run_succeeded 1\n" in page
    files = (file for file in machine.backups.rglob("*") if file.is_file())
    told = Records(world.settings).attempts()["size"]
    assert 0.5 < told / sum(file.stat().st_size for file in files) <= 1

    (world.databases / "mlflow").write_text("damaged")
    (world.timer / "file").write_text("damaged")
    restore.restore(world.settings, Request(), _quiet)
    assert (world.databases / "mlflow").read_text() == "rows of mlflow"
    assert (world.timer / "file").read_text() == "file of service-timer"

    fresh = world.other_settings(password="another", data=world.root / "fresh", place=machine.place("case"))
    fresh.data.mkdir()
    assert job.initialise(fresh) != repository
    for named in (machine.place(), machine.place("case"), Place.parse(repository, machine.place().access)):
        found = restore.make_plan(fresh, Request(str(named), None, "pass")).document()
        assert (found["repository"], found["id"]) == (repository, made[-1]["id"])
    with pytest.raises(AgentError, match="the password opens none of the backups in"):
        restore.make_plan(fresh, Request(str(machine.place()), None, "wrong"))


def test_a_changed_password_opens_it_alone(world: World) -> None:
    path = job.initialise(world.settings)
    world.settings = world.other_settings(password="new", place=world.settings.place)
    assert job.initialise(world.settings) == path
    job.own_repository(world.settings).snapshots()
    with pytest.raises(restic.WrongPassword):
        job.own_repository(world.other_settings(password="pass", place=world.settings.place)).snapshots()


def test_a_lock_that_a_killed_backup_left_keeps_nobody_from_the_backups(world: World) -> None:
    path = job.initialise(world.settings)
    made = job.back_up(world.settings, _quiet)
    locks = Path(path.partition(":")[2]) / "locks"
    held: list[int] = []
    while not any(held):  # `check` locks all others out, as `forget` does
        with job.own_repository(world.settings)._start("check") as process:
            while not any(held) and process.poll() is None:
                held = [lock.stat().st_size for lock in locks.iterdir()]
                time.sleep(0.001)
            process.kill()
    assert [each["id"] for each in job.listed(world.settings)] == [made["id"]]
    changed = world.other_settings(password="new", place=world.settings.place)
    assert job.initialise(changed) == path
    assert job.back_up(changed, _quiet)["id"] in [each["id"] for each in job.listed(changed)]


def _refuse(machine: Machine) -> None:
    machine.allow("")


def _without_sftp(machine: Machine) -> None:
    machine.allow(machine.line.replace('restrict,command="internal-sftp"', "restrict"))
    machine.stop()
    machine.start(subsystem="")


@pytest.mark.parametrize(
    ("arrange", "what", "fix"),
    [
        (Machine.stop, "it can't be reached", "See whether it runs"),
        (Machine.make_anew, "it has another host key than the spec says", "`backup.place.host_key`"),
        (_refuse, "it refuses the platform's key", "`terrace output case public_keys`"),
        (_without_sftp, "it doesn't offer SFTP", "Subsystem sftp internal-sftp"),
    ],
)
def test_what_is_wrong_with_the_machine_is_said_and_shown(
    known: World, machine: Machine, arrange: Callable[[Machine], None], what: str, fix: str
) -> None:
    arrange(machine)
    for ask in (
        lambda: job.back_up(known.settings, _quiet),
        lambda: job.initialise(known.settings),
        lambda: job.listed(known.settings),
        lambda: restore.make_plan(known.settings, Request()),
        lambda: restore.make_plan(known.settings, Request(str(machine.place()))),
    ):
        with pytest.raises(AgentError) as raised:
            ask()
        assert f"{ACCOUNT}@127.0.0.1, the place of the backups: {what}" in raised.value.what
        assert fix in raised.value.fix
        assert "ssh-keygen" not in raised.value.why, "nobody is led to forget the key that is known"
    page = service.page(Records(known.settings).attempts())
    assert "terrace_backup_last_run_succeeded 0\n" in page
    assert what in Records(known.settings).attempts()["error"]


def test_a_machine_that_goes_away_meanwhile_fails_the_backup(known: World, machine: Machine) -> None:
    def stop(step: str, percent: float | None = None) -> None:
        if step == "files":
            machine.stop()

    with pytest.raises(AgentError, match=r"restic unlock failed in .*/case/") as raised:
        job.back_up(known.settings, stop)
    assert "Connection refused" in raised.value.why
    assert "Connection refused" in Records(known.settings).attempts()["error"]


def test_an_account_that_may_not_read_it_is_told(known: World, machine: Machine) -> None:
    machine.place("case", REPOSITORY).path.chmod(0)
    with pytest.raises(AgentError, match=r"it doesn't show a folder: .*Permission denied"):
        job.listed(known.settings)


def test_a_repository_that_is_gone_is_named_and_never_made_anew(known: World, machine: Machine) -> None:
    (machine.backups / "case").rename(machine.backups / "away")
    for ask in (job.initialise, job.listed):
        with pytest.raises(AgentError, match=rf"there is no backup repository in {ACCOUNT}@127\.0\.0\.1:/"):
            ask(known.settings)
    assert not (machine.backups / "case").exists()


def test_the_way_in_is_told_in_plain_words_when_a_platform_is_made(
    world: World, machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    machine.allow("")
    monkeypatch.setattr(command_line.Settings, "read", lambda _variables: world.settings)
    monkeypatch.setattr(command_line.sys, "argv", ["backup_agent", "init"])
    assert command_line.main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    line = "terrace output case public_keys"
    assert told.err.endswith(f"fix: Put the line of `{line}` into the account's authorized_keys.\n")


def test_of_several_hosts_each_saves_its_own_there_and_brings_that_back(world: World, machine: Machine) -> None:
    job.initialise(world.settings)
    databases = job.back_up(world.settings, _quiet)
    front = front_of(world, machine.place("case.front"))
    (world.timer / "file").write_text("on front")
    made = job.back_up(front, _quiet)
    assert sorted(path.name for path in machine.backups.iterdir()) == ["case", "case.front"]
    assert [one["id"] for one in job.listed(front)] == [made["id"]]

    (world.timer / "file").write_text("damaged")
    (world.databases / "mlflow").write_text("damaged")
    since = job.listed(world.settings)[0]["time"]
    for named in (None, str(machine.place())):
        found = restore.make_plan(front, Request(named, since=since)).document()
        assert (found["repository"], found["id"]) == (made["repository"], made["id"])
    restore.restore(front, Request(str(machine.place()), since=since), _quiet)
    assert (world.timer / "file").read_text() == "on front"
    restore.restore(world.settings, Request(str(machine.place())), _quiet)
    assert (world.databases / "mlflow").read_text() == "rows of mlflow"
    assert restore.make_plan(world.settings, Request()).document()["id"] == databases["id"]


def test_of_several_hosts_each_looks_for_its_own(world: World, machine: Machine) -> None:
    for name in ("case", "case.front"):
        (machine.backups / name / REPOSITORY).mkdir(parents=True)
    place = machine.place("case.front")
    front = world.other_settings(host="front", place=place)
    expected = [place / REPOSITORY, machine.place("case.front")]
    found = choice._repositories(front, machine.place())
    assert [each for each in found if each in expected] == expected[::-1]
    assert machine.place("case", REPOSITORY) not in found, "that of the databases' host"
    assert place / REPOSITORY in choice._repositories(front, machine.place("case"))


def test_what_lies_there_is_known_by_name(machine: Machine) -> None:
    (machine.backups / "one").mkdir()
    (machine.backups / "two words").touch()
    assert sorted(machine.place().names() or ()) == ["one", "two words"]
    assert machine.place("one").names() == []
    assert machine.place("none").names() is None
    assert machine.place("two words").names() is None, "a file"
    assert [each.name for each in machine.place().newest_first()] == ["two words", "one"]


def test_only_the_machine_of_the_spec_is_reached(machine: Machine) -> None:
    place = machine.place("case")
    assert Place.parse(str(place), place.access) == place
    for text, access in (("eve@127.0.0.1:/backups", place.access), (str(place), None)):
        with pytest.raises(AgentError, match="this platform has no way to") as raised:
            Place.parse(text, access)
        assert raised.value.refused
    assert Place.parse(f"{ACCOUNT}@127.0.0.1:/a;b", place.access) == Place(Path(f"{ACCOUNT}@127.0.0.1:/a;b")), (
        "no folder that another machine is asked for"
    )


def test_ssh_runs_as_the_agents_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    variables = {
        "BACKUP_ENVIRONMENT": "case",
        "BACKUP_SERVICE": "host-backup",
        "BACKUP_PLACE": "keeper@backup.example.org:/srv/backups/case.front",
        "BACKUP_SSH": "/etc/terrace/case/host-backup/ssh",
        "BACKUP_PASSWORD": "pass",
        "BACKUP_DATA": str(tmp_path),
        "BACKUP_AT": "02:40",
        "BACKUP_KEEP": "{}",
        "BACKUP_PORT": "0",
    }
    place = Settings.read(variables).place
    assert str(place) == variables["BACKUP_PLACE"]
    ssh = "ssh -F /etc/terrace/case/host-backup/ssh/config -T -s place sftp"
    user = "terrace-case-host-backup"
    for number, become in ((1000, ""), (0, f"--reuid={user} --regid={user} --clear-groups ")):
        monkeypatch.setattr(places.os, "geteuid", lambda number=number: number)
        assert place.options == ["-o", f"sftp.command=setpriv {become}--inh-caps=-all --ambient-caps=-all {ssh}"]
