"""The installation's own certificate authority: one for all its agents and its controller.

Files below `<state_dir>/ca`: `ca.pem`, `ca.key`, `controller.pem`, `controller.key`; keys are readable for the owner
only. Elliptic keys, because a handshake is part of each member's absence in an upgrade. Clocks of guests are those of
their hosts, so validity starts a day in the past.
"""

from __future__ import annotations

import datetime
import fcntl
import ipaddress
import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trove.domain.errors import DriverError
from trove.guest import protocol

CA_DAYS = 20 * 365
CERTIFICATE_DAYS = 10 * 365
RENEW_DAYS = 90
"""A certificate with less than this left is made anew when it is next asked for."""

_ISSUER = "Trove Anywhere installation"


class Authority:
    """Makes and keeps the certificates of one installation; several processes may use it at the same time."""

    def __init__(self, state_dir: Path) -> None:
        self.directory = state_dir / "ca"
        self.ca_file = self.directory / "ca.pem"
        self.controller_file = self.directory / "controller.pem"
        self.controller_key_file = self.directory / "controller.key"

    def ensure(self) -> None:
        """Make what is missing or about to expire. DriverError where the files cannot be used."""
        with self._locked():
            self._ensure_ca()
            if not _lasting(self.controller_file) or not self.controller_key_file.exists():
                certificate, key = self._make(protocol.CONTROLLER_NAME, None, ExtendedKeyUsageOID.CLIENT_AUTH)
                _write(self.controller_key_file, key)
                _write(self.controller_file, certificate)

    def issue(self, instance_id: str, address: str) -> tuple[bytes, bytes, bytes]:
        """Make an agent's certificate: (CA, certificate, key), PEM. Names the instance, so no other can pass for it."""
        self.ensure()
        certificate, key = self._make(instance_id, address, ExtendedKeyUsageOID.SERVER_AUTH)
        return self.ca_file.read_bytes(), certificate, key

    def expiring(self, certificate: bytes) -> bool:
        """Tell whether a certificate made by `issue` should be made anew: near its end, or of another authority."""
        try:
            parsed = x509.load_pem_x509_certificate(certificate)
            parsed.verify_directly_issued_by(x509.load_pem_x509_certificate(self.ca_file.read_bytes()))
        except Exception:
            # Whatever is wrong with it, a new one mends it.
            return True
        return parsed.not_valid_after_utc - _now() < datetime.timedelta(days=RENEW_DAYS)

    def client_context(self) -> ssl.SSLContext:
        """Return the context with which the controller calls agents."""
        self.ensure()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_verify_locations(self.ca_file)
        context.load_cert_chain(self.controller_file, self.controller_key_file)
        return context

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            with (self.directory / "lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise DriverError(
                f"the certificates below {self.directory} cannot be used: {error.strerror}; "
                "give the service write access to its state directory"
            ) from error

    def _ensure_ca(self) -> None:
        key_file = self.directory / "ca.key"
        if self.ca_file.exists() and key_file.exists():
            return
        if self.ca_file.exists() or key_file.exists():
            raise DriverError(
                f"half of the certificate authority below {self.directory} is missing; put the file back from a copy, "
                "or remove the directory (running agents then need new certificates: restart their instances)"
            )
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(_ISSUER)
        builder = (
            _builder(name, name, key.public_key(), CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
        )
        # The key first: a certificate without its key could never issue anything.
        _write(key_file, _pem(key))
        _write(self.ca_file, builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _make(self, common_name: str, address: str | None, purpose: x509.ObjectIdentifier) -> tuple[bytes, bytes]:
        try:
            issuer = x509.load_pem_x509_certificate(self.ca_file.read_bytes())
            issuer_key = serialization.load_pem_private_key((self.directory / "ca.key").read_bytes(), None)
        except ValueError as error:
            raise DriverError(f"the certificate authority below {self.directory} is damaged: {error}") from error
        assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(common_name)]
        if address is not None:
            names.append(x509.IPAddress(ipaddress.ip_address(address)))
        certificate = (
            _builder(_name(common_name), issuer.subject, key.public_key(), CERTIFICATE_DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .sign(issuer_key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM), _pem(key)


def _lasting(path: Path) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError):
        return False
    return certificate.not_valid_after_utc - _now() >= datetime.timedelta(days=RENEW_DAYS)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = _now()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _write(path: Path, content: bytes) -> None:
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
