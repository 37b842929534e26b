"""Makes sure that the gateway, or a host's link, has a certificate signed by its authority.

Run as the service's user before nginx starts, and with the argument ``keep`` beside it: then it looks again every
minute, has nginx take a new certificate, and writes when the certificates end to ``metrics/certificates`` in
``CERTIFICATE_FOLDER``. ``CERTIFICATE_HOSTS`` lists names and IP addresses, separated by commas; ``ca.crt`` and
``ca.key`` lie beside this file; ``server.crt`` and ``server.key`` go to ``CERTIFICATE_FOLDER``; ``NGINX_PID`` is
nginx's pid file. A certificate that fits and is valid for another 30 days, or as long as the authority, is kept.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import signal
import sys
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID_DAYS = 825  # the longest that current clients accept of a private authority
RENEW_DAYS = 30
LOOK_SECONDS = 60  # a machine that slept, or whose clock was set, has an expired one for no longer
USES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}
METRIC = "terrace_certificate_expires_timestamp_seconds"


def uses() -> list[x509.ObjectIdentifier]:
    """Return what the certificate is for: ``CERTIFICATE_USES``, separated by commas; a server's by default."""
    return [USES[use] for use in os.environ.get("CERTIFICATE_USES", "server").split(",")]


def alternative_names(hosts: list[str]) -> x509.SubjectAlternativeName:
    """Return the certificate's names: IP addresses as such, everything else as DNS names."""
    names: list[x509.GeneralName] = []
    for host in hosts:
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            names.append(x509.DNSName(host))
    return x509.SubjectAlternativeName(names)


def is_good(file: Path, authority: x509.Certificate, names: x509.SubjectAlternativeName) -> bool:
    """Tell whether the certificate in ``file`` is the authority's, has these names, is valid, and doesn't end soon."""
    if not file.is_file():
        return False
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
        now = datetime.datetime.now(datetime.UTC)
        remaining = certificate.not_valid_after_utc - now
        known = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        certificate.verify_directly_issued_by(authority)
    except Exception:
        # Whatever is wrong with it (another authority, another key, half a file), it is replaced.
        return False
    begun = certificate.not_valid_before_utc <= now  # not so where the clock was ahead when it was made
    longest = certificate.not_valid_after_utc >= authority.not_valid_after_utc
    return known == names and begun and (longest or remaining > datetime.timedelta(days=RENEW_DAYS))


def issue(
    folder: Path, authority: x509.Certificate, authority_key: ec.EllipticCurvePrivateKey, hosts: list[str]
) -> None:
    """Write a new key and certificate to ``folder``."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(min(now + datetime.timedelta(days=VALID_DAYS), authority.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses()), critical=False)
        .add_extension(alternative_names(hosts), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    _write(folder / "server.key", pem)
    _write(folder / "server.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _write(file: Path, content: bytes) -> None:
    """Replace ``file`` in one step, readable by its owner alone."""
    new = file.with_suffix(file.suffix + ".new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        stream.write(content)
    new.replace(file)


def ensure(folder: Path) -> bool:
    """Issue a certificate where the one that is there isn't good, and tell whether that was so."""
    here = Path(__file__).parent
    hosts = os.environ["CERTIFICATE_HOSTS"].split(",")
    authority = x509.load_pem_x509_certificate((here / "ca.crt").read_bytes())
    key = serialization.load_pem_private_key((here / "ca.key").read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic-curve key")
    folder.mkdir(mode=0o700, exist_ok=True)
    if is_good(folder / "server.crt", authority, alternative_names(hosts)):
        return False
    issue(folder, authority, key, hosts)
    return True


def keep(folder: Path, *, untold: bool = False) -> bool:
    """Look once: renew, have nginx read what is new, and write when the certificates end.

    ``untold`` says that nginx was not told of the last one, and the result whether that is so now.
    """
    if ensure(folder):
        print("there is a new server certificate", flush=True)
        untold = True
    untold = untold and not reload_nginx(Path(os.environ["NGINX_PID"]))
    files = {"server": folder / "server.crt", "authority": Path(__file__).with_name("ca.crt")}
    ends = {name: x509.load_pem_x509_certificate(file.read_bytes()) for name, file in files.items()}
    lines = [
        f'{METRIC}{{certificate="{name}"}} {each.not_valid_after_utc.timestamp():.0f}\n' for name, each in ends.items()
    ]
    (folder / "metrics").mkdir(mode=0o700, exist_ok=True)
    _write(folder / "metrics" / "certificates", f"# TYPE {METRIC} gauge\n{''.join(lines)}".encode())
    return untold


def reload_nginx(pid_file: Path) -> bool:
    """Have nginx read its files again, and tell whether it runs: one that is starting may have read them already."""
    try:
        process = int(pid_file.read_text())
        if Path(f"/proc/{process}/comm").read_text().strip() == "nginx":
            os.kill(process, signal.SIGHUP)
            return True
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass
    return False


def main() -> None:
    """Make sure of the certificate once, or again every minute."""
    folder = Path(os.environ["CERTIFICATE_FOLDER"])
    if sys.argv[1:] != ["keep"]:
        ensure(folder)
        return
    untold = False
    while True:
        untold = keep(folder, untold=untold)
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
