"""Says what this machine lacks before a platform can come up on it, and how to get it. Changes nothing."""

from __future__ import annotations

import locale
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from terrace import at_rest, ports

MIN_PYTHON = (3, 11)
MIN_RELEASE = {"debian": (12,), "ubuntu": (24, 4)}
MAX_CLOCK_ERROR_SECONDS = 300
INDEX_TIMEOUT_SECONDS = 10
DEFAULT_INDEX = "https://pypi.org/simple/"
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
SYSTEM_PYTHON = Path("/usr/bin/python3")  # the services' environments are made with it
SOFTWARE = Path("/opt/terrace")
# Debian packages without which no tier comes up; asked for only to see that apt can install anything at all.
SAMPLE_PACKAGES = ("postgresql", "nginx-light")
# What tier 3 takes on one machine with the example project, rounded up: see `make bench`.
DISK_GB = 10.0
MEMORY_GB = 6.0
COMMAND_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What was looked at.
        ok: Whether it is as it must be.
        found: What was found.
        fix: What to do about it; empty when ``ok``.
        necessary: Whether the platform can't come up without it.
    """

    name: str
    ok: bool
    found: str
    fix: str = ""
    necessary: bool = True


@dataclass(frozen=True)
class Needs:
    """What an environment asks of the machine.

    Attributes:
        env: The environment.
        disk_gb: Free space (GB) that the software and a first project's data take.
        memory_gb: Memory (GB) that all services take together.
        ports: TCP ports on loopback, by what uses each.
        folders: Where data and secrets are kept.
        encrypted: Whether the spec demands that these are encrypted at rest.
        package_index: The Python package index of the spec; empty for this machine's own setting.
    """

    env: str
    disk_gb: float
    memory_gb: float
    ports: Mapping[str, int]
    package_index: str = ""
    folders: tuple[str, ...] = ()
    encrypted: bool = False


def needs_of(root: Path, env: str) -> Needs:
    """Return what the environment's spec asks of the machine.

    Raises:
        InputError: There is no such environment, or its spec is wrong.
    """
    from terrace import config, resolve

    blueprint = resolve.resolve(config.load(root, env))
    index = blueprint.network.package_index
    encrypted = any(host.configure.encrypted_data for host in blueprint.hosts)
    index = index if isinstance(index, str) else ""
    return Needs(env, DISK_GB, MEMORY_GB, blueprint.ports, index, blueprint.data_folders, encrypted)


def examine(needs: Needs) -> tuple[Check, ...]:
    """Look at everything; takes a few seconds at most."""
    return (
        _python(),
        _system_python(),
        _privileges(),
        _release(),
        *_apt(),
        _disk(needs),
        _encryption(needs),
        _memory(needs),
        *_ports(needs),
        _locale(),
        _supervision(),
        *_index(needs.package_index or configured_index()),
        _uv(),
    )


def examine_host(needs: Mapping[str, Any], proxy: str) -> list[dict[str, Any]]:
    """Look at what concerns a host that is reached by SSH, on that host; takes and returns JSON data."""
    os.environ |= {"http_proxy": proxy, "https_proxy": proxy} if proxy else {}
    it = Needs(**needs)
    found = (_system_python(), _release(), *_apt(), _disk(it), _encryption(it), _memory(it), *_ports(it))
    return [asdict(check) for check in (*found, _supervision(), *_index(it.package_index or DEFAULT_INDEX))]


def configured_index(environment: Mapping[str, str] = os.environ) -> str:
    """Return the address of the Python package index that this machine is set to."""
    return next((environment[name] for name in INDEX_VARIABLES if environment.get(name)), DEFAULT_INDEX)


def _python() -> Check:
    version = platform.python_version()
    ok = sys.version_info[:2] >= MIN_PYTHON
    return Check("python", ok, version, "" if ok else "install Python 3.11 or later")


def _system_python() -> Check:
    name = "system python"
    fix = "apt-get install python3 on Debian 12, Ubuntu 24.04, or later"
    if not SYSTEM_PYTHON.exists():
        return Check(name, False, f"{SYSTEM_PYTHON} is missing", fix)
    version = _output(str(SYSTEM_PYTHON), "-c", "import platform; print(platform.python_version())")
    ok = _numbers(version)[:2] >= MIN_PYTHON
    return Check(name, ok, f"{SYSTEM_PYTHON} is {version or 'broken'}", "" if ok else fix)


def _privileges() -> Check:
    if os.geteuid() == 0:
        return Check("privileges", True, "root")
    ok = shutil.which("sudo") is not None and _succeeds("sudo", "-n", "true")
    found = "sudo without a password" if ok else "neither root nor sudo without a password"
    return Check("privileges", ok, found, "" if ok else "run it as root, or allow your user NOPASSWD in /etc/sudoers.d")


def _release() -> Check:
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return Check("release", False, "no /etc/os-release", "use Debian 12, Ubuntu 24.04, or later")
    least = MIN_RELEASE.get(release["ID"])
    # Debian's testing and unstable have no number, and are newer than every release.
    ok = least is not None and ("VERSION_ID" not in release or _numbers(release["VERSION_ID"]) >= least)
    return Check(
        "release", ok, release.get("PRETTY_NAME", release["ID"]), "" if ok else "use Debian 12, Ubuntu 24.04, or later"
    )


def _apt() -> Iterator[Check]:
    if shutil.which("apt-get") is None:
        yield Check("apt", False, "apt-get is missing", "use Debian or Ubuntu")
        return
    broken = _output("dpkg", "--audit")
    yield Check(
        "dpkg",
        not broken,
        "no package is half-installed" if not broken else broken.splitlines()[0],
        "dpkg --configure -a" if broken else "",
    )
    missing = [name for name in SAMPLE_PACKAGES if not _succeeds("apt-get", "--simulate", "-qq", "install", name)]
    found = f"no candidate for {', '.join(missing)}" if missing else "packages can be installed"
    yield Check("apt", not missing, found, "apt-get update, and look at /etc/apt/sources.list.d" if missing else "")


def _disk(needs: Needs) -> Check:
    place = next(folder for folder in (SOFTWARE, *SOFTWARE.parents) if folder.exists())
    free_gb = shutil.disk_usage(place).free / 1e9
    wanted = 1.0 if (SOFTWARE / needs.env).exists() else needs.disk_gb
    ok = free_gb >= wanted
    return Check("disk", ok, f"{free_gb:.1f} GB free in {place}", "" if ok else f"free {wanted - free_gb:.1f} GB more")


def _encryption(needs: Needs) -> Check:
    """Say whether data is encrypted at rest; only where the spec demands it, nothing comes up without."""
    found = at_rest.look(map(Path, needs.folders))
    plain = [f"{each.folder}: {each.detail}" for each in found if not each.encrypted]
    how = "; ".join(plain[:1] or sorted({each.detail for each in found}))
    fix = "see docs/hardening.md, Encryption at rest" if plain else ""
    return Check("encryption", not plain, f"at rest, {how}", fix, necessary=needs.encrypted)


def _memory(needs: Needs) -> Check:
    total_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    ok = total_gb >= needs.memory_gb
    return Check(
        "memory",
        ok,
        f"{total_gb:.1f} GB",
        "" if ok else f"{needs.memory_gb:.0f} GB are needed for tier 3 with a first project",
    )


def _ports(needs: Needs) -> Iterator[Check]:
    own = f"terrace-{needs.env}-"
    taken = {
        port: holder
        for port, holder in ports.listeners(needs.ports.values()).items()
        if not holder.user.startswith(own)
    }
    for use, port in needs.ports.items():
        if port in taken:
            fix = f"stop it, or give {use} another port in stacks/Pulumi.{needs.env}.yaml"
            yield Check(f"port {port}", False, f"{use} wants it, {taken[port]} holds it", fix)
    if not taken:
        yield Check("ports", True, f"{len(needs.ports)} ports are free or ours")


def _locale() -> Check:
    encoding = locale.nl_langinfo(locale.CODESET)
    ok = encoding.upper().replace("-", "") == "UTF8"
    return Check("locale", ok, encoding, "" if ok else "export LC_ALL=C.UTF-8")


def _supervision() -> Check:
    if Path("/run/systemd/system").is_dir():
        return Check("supervision", True, "systemd", necessary=False)
    return Check("supervision", True, "no systemd here: services will run under supervisor", necessary=False)


def _index(url: str) -> Iterator[Check]:
    import urllib.error
    import urllib.request
    from datetime import UTC, datetime

    shown = _without_account(url)
    fix = f"check the network and the proxy; a private index goes into {INDEX_VARIABLES[0]}"
    if not url.startswith(("http://", "https://")):
        yield Check("package index", False, f"{shown} is no HTTP address", fix)
        return
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 - the scheme is checked above
    try:
        with urllib.request.urlopen(request, timeout=INDEX_TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
            date = answer.headers.get("Date")
    except urllib.error.HTTPError as error:  # it answers, if not to a HEAD of this page
        date = error.headers.get("Date")
        error.close()
    except OSError as error:
        yield Check("package index", False, f"{shown} can't be reached: {getattr(error, 'reason', error)}", fix)
        return
    yield Check("package index", True, f"{shown} answers")
    if date:
        seconds = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
        ok = seconds <= MAX_CLOCK_ERROR_SECONDS
        yield Check("clock", ok, f"{seconds:.0f} s off" if not ok else "right", "" if ok else "set the clock (NTP)")


def _uv() -> Check:
    found = shutil.which("uv") or next((str(path) for path in (Path(".uv/bin/uv"),) if path.exists()), None)
    return Check(
        "uv", found is not None, found or "missing", "" if found else "run make, which installs it into .uv/", False
    )


def _without_account(url: str) -> str:
    """Return ``url`` without the user and password that a private index's address may hold."""
    from urllib.parse import urlsplit, urlunsplit

    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=host))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_TIMEOUT_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


def _succeeds(*command: str) -> bool:
    done = _run(command)
    return done is not None and done.returncode == 0


def _output(*command: str) -> str:
    done = _run(command)
    return done.stdout.strip() if done else ""
