"""A made-up host for the backup agent: folders in place of its own, and stand-ins for restic and PostgreSQL's tools."""

from __future__ import annotations

import getpass
import json
import shutil
import sys
from pathlib import Path

import pytest

from components.backup.programs.backup_agent import inventory, job, restic, services
from components.backup.programs.backup_agent.places import Place
from components.backup.programs.backup_agent.settings import Settings

# A repository is a folder: `config` holds the passwords, `snapshots/<id>` a record and a copy of the files.
RESTIC = """#!{python}
import json, os, shutil, sys, time
from pathlib import Path
root, password = Path(os.environ["RESTIC_REPOSITORY"]), os.environ["RESTIC_PASSWORD"]
words = [word for word in sys.argv[1:] if not word.startswith("-")]
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
command, snapshots = words[0], root / "snapshots"
with open("{log}", "a") as log: log.write(" ".join(sys.argv[1:]) + "\\n")
if Path("{fails}").exists() and Path("{fails}").read_text() == command: sys.exit("Fatal: the disk is full")
if command == "init":
    snapshots.mkdir(parents=True); (root / "config").write_text(json.dumps([password])); sys.exit()
passwords = json.loads((root / "config").read_text())
if password not in passwords: sys.exit("Fatal: wrong password or no key found")
records = [json.loads((one / "record").read_text()) for one in sorted(snapshots.glob("*"))]
if command == "key" and words[1] == "add":
    passwords.append(Path(options["new-password-file"]).read_text())
elif command == "key" and words[1] == "list":
    print(json.dumps([dict(id=str(i), current=one == password) for i, one in enumerate(passwords)]))
elif command == "key":
    del passwords[int(words[2])]
elif command == "backup":
    name = "%06d" % (int(records[-1]["id"][:6]) + 1 if records else 1) + "abcd"
    for path in words[1:]:
        copy = Path(f"{{snapshots}}/{{name}}/files{{path}}")
        shutil.copytree(path, copy, symlinks=True, ignore=lambda d, names: [n for n in names if os.path.join(d, n) in
            [word.partition("=")[2] for word in sys.argv if word.startswith("--exclude=")]])
    record = dict(id=name, short_id=name[:8], time=f"2026-01-{{len(records) + 1:02d}}T02:30:00Z", paths=words[1:])
    (snapshots / name / "record").write_text(json.dumps(record))
    if Path("{unread}").exists():
        print(json.dumps(dict(message_type="error", item=Path("{unread}").read_text())))
    print(json.dumps(dict(message_type="status", percent_done=0.5)))
    print(json.dumps(dict(message_type="summary", snapshot_id=name, total_bytes_processed=5, data_added=3)))
elif command == "forget":
    for record in records[:-int(options["keep-last"])]: shutil.rmtree(snapshots / record["id"])
elif command == "stats":
    print(json.dumps(dict(total_size=7)))
elif command == "snapshots":
    print(json.dumps(records or None))
elif command == "ls":
    sizes, files = json.loads(Path("{size}").read_text()), snapshots / words[1] / "files"
    print(json.dumps(dict(struct_type="snapshot", id=words[1])))
    for path in [path for path in files.rglob("*") if any(path.is_relative_to(f"{{files}}{{w}}") for w in words[2:])]:
        size = sum(size for part, size in sizes.items() if part in str(path))
        kind = dict(type="dir") if path.is_dir() else dict(type="file", size=size)
        print(json.dumps(dict(kind, struct_type="node", path=str(path).removeprefix(str(files)))))
elif command == "dump":
    print(Path(f"{{snapshots}}/{{words[1]}}/files{{words[2]}}").read_text())
elif command == "restore":
    path = options["include"]
    shutil.copytree(f"{{snapshots}}/{{words[1]}}/files{{path}}", options["target"] + path, symlinks=True)
(root / "config").write_text(json.dumps(passwords))
"""
# Databases are files; `postgres` answers what is asked of it.
POSTGRES = """#!{python}
import os, re, sys
from pathlib import Path
databases = Path("{databases}")
options = dict(word.lstrip("-").partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
program, sql = Path(sys.argv[0]).name, options.get("command", "")
with open("{log}", "a") as log: log.write(f"{{program}} {{sql or options['dbname']}}\\n")
if Path("{fails}").exists() and Path("{fails}").read_text() == program: sys.exit("connection refused")
if program == "pg_dump": sys.stdout.write((databases / options["dbname"]).read_text())
elif program == "pg_restore": (databases / options["dbname"]).write_text(sys.stdin.read())
elif sql.startswith("SELECT datname"): print("\\n".join(sorted(one.name for one in databases.iterdir()) + ["postgres"]))
elif "server_version_num" in sql: print(15)
elif "datdba" in sql: print("owner")
elif found := re.search(r'DROP DATABASE (?:IF EXISTS )?"?(\\w+)', sql): (databases / found[1]).unlink(missing_ok=True)
elif found := re.search(r'CREATE DATABASE "(\\w+)', sql): (databases / found[1]).touch()
for old, new in re.findall(r'ALTER DATABASE "?(\\w+)"? RENAME TO "?(\\w+)"?', sql):
    (databases / old).rename(databases / new)
"""
SUPERVISOR = """#!/bin/sh
echo "supervisorctl $*" >> {log}
case "$*" in *status*) [ -e {fails} ] && grep -q stop {fails};; esac
"""
SETPRIV = """#!/bin/sh
while case "$1" in --*) true;; *) false;; esac; do shift; done
exec "$@"
"""


class World:
    """A host with two services that keep data, and their databases."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.databases = root / "databases"
        self.fails, self.unread, self.size = root / "fails", root / "unread", root / "size"
        self.size.write_text("{}")
        self._programs(root / "bin", monkeypatch)
        self.settings = self.other_settings()
        for folder in (self.databases, self.settings.place.path, self.settings.data, self.settings.manifests):
            folder.mkdir(parents=True)
        for name in ("mlflow", "feast"):
            (self.databases / name).write_text(f"rows of {name}")
        self.timer = self.entry("service-timer", ["programs-timer"], ["cache"])
        (self.timer / "cache").mkdir()
        self.artifacts = self.entry("artifact_folder-mlflow", [], [])
        self.entry("service-postgres", ["programs-postgres"], ["."])
        self.entry("service-backup", ["programs-backup"], ["."])
        self.version("mlflow", "3.17.2")
        monkeypatch.setattr(restic, "RESTIC", str(root / "bin" / "restic"))
        monkeypatch.setattr(services, "SYSTEMD", root / "systemd")
        monkeypatch.setattr(Settings, "user", lambda settings, service: getpass.getuser() if service else "root")

    def other_settings(self, **changes: object) -> Settings:
        """Return the agent's settings with some of them changed."""
        variables = {
            "BACKUP_ENVIRONMENT": "case",
            "BACKUP_SERVICE": "backup",
            "BACKUP_PLACE": str(self.root / "place"),
            "BACKUP_PASSWORD": "pass",
            "BACKUP_DATA": str(self.root / "data" / "backup"),
            "BACKUP_AT": "02:30",
            "BACKUP_KEEP": json.dumps({"last": 2, "daily": 0}),
            "BACKUP_INCLUDE": "[]",
            "BACKUP_SOCKET": "/socket",
            "BACKUP_DATABASE_PORT": "5432",
            "BACKUP_DATABASE_SERVICE": "postgres",
            "BACKUP_PORT": "0",
        }
        read = vars(Settings.read(variables))
        places = {"manifests": self.root / "etc" / "manifest.d", "configuration": self.root / "etc"}
        return Settings(
            **{**read, **places, "software": self.root / "opt", "versions": self.root / "versions", **changes}
        )

    def entry(self, name: str, programs: list[str], unsaved: list[str]) -> Path:
        """Add an entry to the manifest, and the folder that it names."""
        folder = self.root / "data" / name
        folder.mkdir(parents=True)
        (folder / "file").write_text(f"file of {name}")
        entry = {"programs": programs, "data": [str(folder)], "unsaved": unsaved, "users": [], "paths": []}
        (self.settings.manifests / f"{name}.json").write_text(json.dumps(entry))
        (self.settings.manifests / f"{name}.converged").write_text("digest")
        return folder

    def version(self, service: str, version: str) -> None:
        """Say which version a service's data is of."""
        self.settings.versions.mkdir(exist_ok=True)
        (self.settings.versions / service).write_text(version)

    def log(self) -> list[str]:
        """Return what the stand-ins were called with."""
        log = self.root / "log"
        return log.read_text().splitlines() if log.exists() else []

    def _programs(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        names = ("log", "fails", "unread", "size", "databases")
        values = {"python": sys.executable, **{name: str(self.root / name) for name in names}}
        programs = {"restic": RESTIC, "supervisorctl": SUPERVISOR, "setpriv": SETPRIV}
        programs |= dict.fromkeys(("psql", "pg_dump", "pg_restore"), POSTGRES)
        for name, text in programs.items():
            (folder / name).write_text(text.format(**values) if name != "setpriv" else text)
            (folder / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def damaged(root: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """Return a host with one backup, whose data is damaged then."""
    world = World(root, monkeypatch)
    job.initialise(world.settings)
    job.back_up(world.settings, lambda _step, percent=None: None)
    (world.databases / "mlflow").write_text("damaged")
    (world.timer / "file").write_text("damaged")
    (world.timer / "later").write_text("made after the backup")
    shutil.rmtree(world.artifacts)
    return world


def front_of(world: World, place: Place) -> Settings:
    """Return another host's agent; it keeps what the world's does, and nothing that is the databases' host's alone."""
    for name in ("service-postgres", "service-backup"):
        (world.settings.manifests / f"{name}.json").unlink()
    about = {"host": "front", "service": "host-backup", "socket": "", "database_service": ""}
    data = world.root / "data" / "host-backup"
    data.mkdir()
    settings = world.other_settings(**about, place=place, data=data)
    job.initialise(settings)
    return settings


def inventory_of(world: World) -> inventory.Inventory:
    """Return the inventory of the last backup in the world."""
    (last, *_) = sorted(world.settings.place.path.glob("*/snapshots/*"), reverse=True)
    text = Path(f"{last}/files{world.settings.staging}/inventory.json").read_text()
    return inventory.Inventory.from_json(text)
