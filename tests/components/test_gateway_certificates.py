"""The gateway's server certificate: made once, and anew when it no longer fits."""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import sys
from pathlib import Path
from typing import Self

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from components.gateway.programs import certificates

HOSTS = "gateway.example,127.0.0.1,::1"
ENCODING = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def make_authority(folder: Path, name: str = "authority") -> x509.Certificate:
    """Write an authority's certificate and key where the program looks for them."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = dict.fromkeys(
        [
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
            "digital_signature",
        ],
        False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage, key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "ca.key").write_bytes(key.private_bytes(*ENCODING))
    return certificate


class Gateway:
    """The program in a folder with an authority."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._set = monkeypatch.setenv
        self.root = root
        self.folder = root / "certificates"
        self.authority = make_authority(root)
        monkeypatch.setattr(certificates, "__file__", str(root / "certificates.py"))
        monkeypatch.setattr(sys, "argv", ["certificates.py"])

    def run(self, hosts: str = HOSTS) -> x509.Certificate:
        self._set("CERTIFICATE_FOLDER", str(self.folder))
        self._set("CERTIFICATE_HOSTS", hosts)
        self._set("NGINX_PID", str(self.root / "nginx.pid"))
        certificates.main()
        return x509.load_pem_x509_certificate((self.folder / "server.crt").read_bytes())


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    return Gateway(tmp_path, monkeypatch)


@pytest.mark.parametrize(
    "subject",
    [x509.DNSName("gateway.example"), *(x509.IPAddress(ipaddress.ip_address(ip)) for ip in ("127.0.0.1", "::1"))],
)
def test_clients_that_know_the_authority_accept_it(gateway: Gateway, subject: x509.verification.Subject) -> None:
    certificate = gateway.run()
    verifier = PolicyBuilder().store(Store([gateway.authority])).build_server_verifier(subject)
    assert verifier.verify(certificate, [])[0] == certificate


def test_a_links_is_for_both_ends(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERTIFICATE_USES", "server,client")
    uses = gateway.run().extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


def test_it_is_for_servers_only_and_not_valid_for_too_long(gateway: Gateway) -> None:
    certificate = gateway.run()
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert datetime.timedelta(days=820) < valid < datetime.timedelta(days=826)
    assert certificate.not_valid_before_utc < datetime.datetime.now(datetime.UTC)


def test_only_the_owner_reads_the_key_and_it_is_the_certificates(gateway: Gateway) -> None:
    certificate = gateway.run()
    file = gateway.folder / "server.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert gateway.folder.stat().st_mode & 0o777 == 0o700
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    assert key.public_key() == certificate.public_key()
    assert sorted(each.name for each in gateway.folder.iterdir()) == ["server.crt", "server.key"]


def test_a_certificate_that_fits_is_kept(gateway: Gateway) -> None:
    gateway.run()
    before = [file.read_bytes() for file in sorted(gateway.folder.iterdir())]
    gateway.run()
    assert [file.read_bytes() for file in sorted(gateway.folder.iterdir())] == before


def test_other_hosts_need_another(gateway: Gateway) -> None:
    first = gateway.run()
    second = gateway.run("other.example,127.0.0.1")
    assert first.serial_number != second.serial_number
    names = second.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["other.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ipaddress.ip_address("127.0.0.1")]


@pytest.mark.parametrize("name", ["authority", "another"])
def test_another_authority_signs_another(gateway: Gateway, name: str) -> None:
    first = gateway.run()
    authority = make_authority(gateway.root, name)
    second = gateway.run()
    assert first.serial_number != second.serial_number
    second.verify_directly_issued_by(authority)


@pytest.mark.parametrize(("days", "renewed"), [(29, True), (30, True), (31, False)])
def test_it_is_renewed_before_it_ends(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, days: int, renewed: bool
) -> None:
    with monkeypatch.context() as short:
        short.setattr(certificates, "VALID_DAYS", days)
        first = gateway.run()
    assert (gateway.run().serial_number != first.serial_number) is renewed


def test_one_that_was_made_while_the_clock_was_ahead_is_replaced(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Self:
            return super().now(tz) + datetime.timedelta(hours=6)

    with monkeypatch.context() as ahead:
        ahead.setattr(f"{certificates.__name__}.datetime.datetime", Ahead)
        gateway.run()
    assert gateway.run().not_valid_before_utc < datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("content", [b"", b"-----BEGIN CERTIFICATE-----\nMIIB", b"\xff"])
def test_a_broken_certificate_is_replaced(gateway: Gateway, content: bytes) -> None:
    gateway.run()
    (gateway.folder / "server.crt").write_bytes(content)
    gateway.run().verify_directly_issued_by(gateway.authority)


def test_a_certificate_of_the_authority_without_names_is_replaced(gateway: Gateway) -> None:
    gateway.run()
    (gateway.folder / "server.crt").write_bytes((gateway.root / "ca.crt").read_bytes())
    assert gateway.run().subject != gateway.authority.subject


def test_remains_of_a_run_that_was_ended_are_no_obstacle(gateway: Gateway) -> None:
    gateway.folder.mkdir()
    remains = gateway.folder / "server.key.new"
    remains.write_text("half")
    remains.chmod(0o644)
    gateway.run()
    assert (gateway.folder / "server.key").stat().st_mode & 0o777 == 0o600
    assert not remains.exists()


def test_an_authority_with_another_kind_of_key_is_refused(gateway: Gateway) -> None:
    (gateway.root / "ca.key").write_bytes(ed25519.Ed25519PrivateKey.generate().private_bytes(*ENCODING))
    with pytest.raises(TypeError, match="not an elliptic-curve key"):
        gateway.run()
    assert not gateway.folder.exists()


def test_it_never_outlives_its_authority_and_is_then_kept(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(certificates, "VALID_DAYS", 4000)
    first = gateway.run()
    assert first.not_valid_after_utc == gateway.authority.not_valid_after_utc
    monkeypatch.setattr(certificates, "RENEW_DAYS", 4000)
    assert gateway.run() == first, "another would end no later"


class _Looks(Exception):
    """Ends the program's loop."""


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the program's minutes pass at once, three of them; what it sleeps is kept here."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            raise _Looks

    monkeypatch.setattr(certificates.time, "sleep", sleep)
    monkeypatch.setattr(sys, "argv", ["certificates.py", "keep"])
    return slept


def test_it_is_looked_at_every_minute(gateway: Gateway, slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    real = certificates.ensure

    def ensure(folder: Path) -> bool:
        monkeypatch.setattr(certificates, "VALID_DAYS", 10 if len(looks) == 0 else 825)
        looks.append(real(folder))
        return looks[-1]

    monkeypatch.setattr(certificates, "ensure", ensure)
    with pytest.raises(_Looks):
        gateway.run()
    assert slept == [60] * 3
    assert looks == [True, True, False], "made, made anew as it ends soon, kept"


def test_its_end_is_shown_to_prometheus(gateway: Gateway, slept: list[float]) -> None:
    with pytest.raises(_Looks):
        gateway.run()
    server = x509.load_pem_x509_certificate((gateway.folder / "server.crt").read_bytes())
    name = "terrace_certificate_expires_timestamp_seconds"
    assert (gateway.folder / "metrics" / "certificates").read_text().splitlines() == [
        f"# TYPE {name} gauge",
        f'{name}{{certificate="server"}} {server.not_valid_after_utc.timestamp():.0f}',
        f'{name}{{certificate="authority"}} {gateway.authority.not_valid_after_utc.timestamp():.0f}',
    ]


def test_nginx_is_told_of_a_new_one_and_nobody_else(
    gateway: Gateway, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int]] = []
    monkeypatch.setattr(certificates.os, "kill", lambda process, number: told.append((process, number)))
    (gateway.root / "nginx.pid").write_text(f"{os.getpid()}\n")
    with pytest.raises(_Looks):
        gateway.run()
    assert told == [], "another program has nginx's old number"

    (gateway.folder / "server.crt").unlink()
    slept.clear()
    real = Path.read_text
    monkeypatch.setattr(Path, "read_text", lambda file: "nginx\n" if file.name == "comm" else real(file))
    with pytest.raises(_Looks):
        gateway.run()
    assert told == [(os.getpid(), signal.SIGHUP)], "once: the minutes after it was kept"


def test_an_nginx_that_is_starting_is_told_as_soon_as_it_runs(
    gateway: Gateway, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []

    def reload_nginx(_pid_file: Path) -> bool:
        told.append(len(slept))
        return len(slept) == 1

    monkeypatch.setattr(certificates, "reload_nginx", reload_nginx)
    with pytest.raises(_Looks):
        gateway.run()
    assert told == [0, 1], "it may have read the old one before there was a new one"
