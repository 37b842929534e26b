"""An independent baseline for hardened machines, as checks of this project's own.

What is asked stands in dev-sec's linux-baseline (os, sysctl, package) and ssh-baseline (sshd), whose numbers the rules
carry; the code is written here. Where the role ``hardening`` decides otherwise, docs/hardening.md says why.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from testinfra.host import Host


@dataclass(frozen=True)
class Rule:
    """One rule: its number there, and what holds on a machine that keeps it."""

    number: str
    keeps: Callable[[Host], bool]


def _setting(host: Host, name: str) -> str | None:
    file = host.file("/proc/sys/" + name.replace(".", "/"))
    return str(file.content_string.strip()) if file.exists else None


def settings(**wanted: tuple[str, ...]) -> Callable[[Host], bool]:
    """Return a check: each kernel setting that the kernel has is one of the values (``__`` stands for a dot)."""
    names = {name.replace("__", "."): values for name, values in wanted.items()}
    return lambda host: all((found := _setting(host, name)) is None or found in names[name] for name in names)


def sshd(**wanted: str) -> Callable[[Host], bool]:
    """Return a check: the SSH server goes by these values, of which lists may hold fewer."""

    def keeps(host: Host) -> bool:
        lines = host.check_output("/usr/sbin/sshd -T").splitlines()
        found = {words[0]: words[2] for line in lines if (words := line.partition(" "))}
        return all(set(found.get(name, "").split(",")) <= set(value.split(",")) for name, value in wanted.items())

    return keeps


def file(path: str, forbidden: int, group: str = "root") -> Callable[[Host], bool]:
    """Return a check: the file, where there is one, is root's, its group's, and has none of these bits in its mode."""

    def keeps(host: Host) -> bool:
        found = host.file(path)
        return not found.exists or (found.user == "root" and found.group == group and not found.mode & forbidden)

    return keeps


def absent(*packages: str) -> Callable[[Host], bool]:
    """Return a check: none of the packages is installed."""
    return lambda host: not any(host.package(name).is_installed for name in packages)


def prints_nothing(command: str) -> Callable[[Host], bool]:
    """Return a check: the command finds nothing to complain about."""
    return lambda host: host.run(command).stdout.strip() == ""


def _defs(**wanted: str) -> Callable[[Host], bool]:
    def keeps(host: Host) -> bool:
        lines = host.file("/etc/login.defs").content_string.splitlines()
        found = dict(line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
        return all(found.get(name, "").strip() == value for name, value in wanted.items())

    return keeps


ALL = "net__ipv4__conf__all__"
DEFAULT = "net__ipv4__conf__default__"
NOT_OTHERS = stat.S_IRWXG | stat.S_IRWXO
CRON = ("/etc/crontab", "/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly", "/etc/cron.d")
CIPHERS = "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-ctr"
KEX = "sntrup761x25519-sha512@openssh.com,curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256"
MACS = (
    "hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com,hmac-sha2-512,hmac-sha2-256"
)
RULES = (
    Rule("os-01", lambda host: not host.file("/etc/hosts.equiv").exists),
    Rule("os-02", file("/etc/shadow", stat.S_IXUSR | stat.S_IXGRP | stat.S_IRWXO, "shadow")),
    Rule("os-03", file("/etc/passwd", 0o133)),
    Rule("os-03b", prints_nothing("cut -d : -f 2 /etc/passwd | grep -vx '[x*]'")),
    Rule("os-04", prints_nothing("echo \"$PATH\" | tr : '\\n' | grep -x '[.]\\?'")),
    Rule(
        "os-05",
        _defs(
            UMASK="027",
            PASS_MAX_DAYS="60",
            PASS_MIN_DAYS="7",
            PASS_WARN_AGE="7",
            LOGIN_RETRIES="5",
            LOGIN_TIMEOUT="60",
            UID_MIN="1000",
            GID_MIN="1000",
        ),
    ),
    Rule(
        "os-07", prints_nothing("cut -d : -f 3 /etc/passwd | sort | uniq -d; cut -d : -f 3 /etc/group | sort | uniq -d")
    ),
    Rule("os-09", prints_nothing("find /root /home -maxdepth 2 -iname .rhosts -o -maxdepth 2 -iname .netrc")),
    Rule("os-10", lambda host: "install cramfs /bin/true" in host.run("cat /etc/modprobe.d/*").stdout),
    Rule("os-11", file("/var/log", 0)),
    *(Rule(f"os-13 {path}", file(path, NOT_OTHERS)) for path in CRON),
    Rule("package-01", absent("inetd", "xinetd")),
    Rule("package-02", absent("telnetd")),
    Rule("package-03", absent("rsh-server")),
    Rule("package-05", absent("ypserv")),
    Rule("package-06", absent("tftp-server")),
    Rule("package-08", lambda host: host.package("auditd").is_installed),
    Rule("package-09", absent("prelink")),
    Rule("sysctl-01", settings(net__ipv4__ip_forward=("0",), **{f"{ALL}forwarding": ("0",)})),
    Rule("sysctl-02", settings(**{f"{ALL}rp_filter": ("1",), f"{DEFAULT}rp_filter": ("1",)})),
    Rule("sysctl-03", settings(net__ipv4__icmp_ignore_bogus_error_responses=("1",))),
    Rule("sysctl-04", settings(net__ipv4__icmp_echo_ignore_broadcasts=("1",))),
    Rule("sysctl-05", settings(net__ipv4__icmp_ratelimit=("100",))),
    Rule("sysctl-06", settings(net__ipv4__icmp_ratemask=("88089",))),
    Rule("sysctl-07", settings(net__ipv4__tcp_timestamps=("0",))),
    Rule("sysctl-08", settings(**{f"{ALL}arp_ignore": ("1", "2")})),
    Rule("sysctl-09", settings(**{f"{ALL}arp_announce": ("2",)})),
    Rule("sysctl-10", settings(net__ipv4__tcp_rfc1337=("1",))),
    Rule("sysctl-11", settings(net__ipv4__tcp_syncookies=("1",))),
    Rule("sysctl-12", settings(**{f"{ALL}shared_media": ("1",), f"{DEFAULT}shared_media": ("1",)})),
    Rule(
        "sysctl-13",
        settings(
            net__ipv6__conf__all__accept_source_route=("0",),
            net__ipv6__conf__default__accept_source_route=("0",),
            **{f"{ALL}accept_source_route": ("0",), f"{DEFAULT}accept_source_route": ("0",)},
        ),
    ),
    Rule("sysctl-14", settings(**{f"{ALL}accept_redirects": ("0",), f"{DEFAULT}accept_redirects": ("0",)})),
    Rule("sysctl-15", settings(**{f"{ALL}secure_redirects": ("0",), f"{DEFAULT}secure_redirects": ("0",)})),
    Rule("sysctl-16", settings(**{f"{ALL}send_redirects": ("0",), f"{DEFAULT}send_redirects": ("0",)})),
    Rule("sysctl-17", settings(**{f"{ALL}log_martians": ("1",), f"{DEFAULT}log_martians": ("1",)})),
    Rule(
        "sysctl-20",
        settings(net__ipv6__conf__all__accept_redirects=("0",), net__ipv6__conf__default__accept_redirects=("0",)),
    ),
    Rule("sysctl-25", settings(net__ipv6__conf__all__accept_ra=("0",), net__ipv6__conf__default__accept_ra=("0",))),
    Rule("sysctl-29", settings(kernel__modules_disabled=("1",))),
    Rule("sysctl-30", settings(kernel__sysrq=("0",))),
    Rule("sysctl-31a", settings(fs__suid_dumpable=("0", "2"))),
    Rule("sysctl-32", settings(kernel__randomize_va_space=("2",))),
    Rule(
        "sysctl-34",
        settings(
            fs__protected_fifos=("1", "2"),
            fs__protected_hardlinks=("1",),
            fs__protected_regular=("2",),
            fs__protected_symlinks=("1",),
        ),
    ),
    Rule("sysctl-35", settings(kernel__yama__ptrace_scope=("2", "3"))),
    Rule("sshd-01", sshd(ciphers=CIPHERS)),
    Rule("sshd-02", sshd(kexalgorithms=KEX)),
    Rule("sshd-03", sshd(macs=MACS)),
    Rule("sshd-04", file("/etc/ssh", 0o022)),
    Rule("sshd-05", file("/etc/ssh/sshd_config", 0o177)),
    Rule("sshd-06", sshd(permitrootlogin="no,without-password,prohibit-password")),
    Rule("sshd-11", sshd(strictmodes="yes")),
    Rule("sshd-12", sshd(syslogfacility="AUTH")),
    Rule("sshd-13", sshd(loglevel="VERBOSE")),
    Rule("sshd-17", sshd(permituserenvironment="no")),
    Rule("sshd-18", sshd(logingracetime="30")),
    Rule("sshd-19", sshd(maxauthtries="2")),
    Rule("sshd-20", sshd(maxsessions="10")),
    Rule("sshd-21", sshd(maxstartups="10:30:60")),
    Rule("sshd-22", sshd(pubkeyauthentication="yes")),
    Rule("sshd-23", sshd(ignorerhosts="yes")),
    Rule("sshd-24", sshd(ignoreuserknownhosts="yes")),
    Rule("sshd-25", sshd(hostbasedauthentication="no")),
    Rule("sshd-27", sshd(passwordauthentication="no")),
    Rule("sshd-28", sshd(permitemptypasswords="no")),
    Rule("sshd-29", sshd(kbdinteractiveauthentication="no")),
    Rule("sshd-30", sshd(kerberosauthentication="no")),
    Rule("sshd-33", sshd(gssapiauthentication="no")),
    Rule("sshd-35", sshd(tcpkeepalive="no")),
    Rule("sshd-36", sshd(clientaliveinterval="300")),
    Rule("sshd-37", sshd(clientalivecountmax="3")),
    Rule("sshd-38", sshd(permittunnel="no")),
    Rule("sshd-39", sshd(allowtcpforwarding="no")),
    Rule("sshd-40", sshd(allowagentforwarding="no")),
    Rule("sshd-41", sshd(gatewayports="no")),
    Rule("sshd-42", sshd(x11forwarding="no")),
    Rule("sshd-43", sshd(x11uselocalhost="yes")),
    Rule("sshd-44", sshd(printmotd="no")),
    Rule("sshd-45", sshd(printlastlog="no")),
    Rule("sshd-46", sshd(banner="none")),
    Rule("sshd-47", lambda host: "DebianBanner no" in host.run("cat /etc/ssh/sshd_config.d/*").stdout),
    Rule("sshd-48", prints_nothing("awk '$5 ~ /^[0-9]+$/ && $5 < 2047' /etc/ssh/moduli")),
)


def broken(host: Host) -> Iterator[str]:
    """Yield the numbers of the rules that the machine doesn't keep."""
    for rule in RULES:
        if not rule.keeps(host):
            yield rule.number
