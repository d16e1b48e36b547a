"""The installation's certificates: who is who, for how long, and readable for whom."""

from __future__ import annotations

import datetime
import ssl
import stat

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from trove.domain.errors import DriverError
from trove.guest import pki
from trove.guest.pki import Authority


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path)
    made.ensure()
    return made


def test_everything_is_made_once_and_only_for_the_owner(authority):
    files = {path.name: path.read_bytes() for path in authority.directory.iterdir()}
    assert {"ca.pem", "ca.key", "controller.pem", "controller.key"} <= files.keys()
    for name in files:
        if name != "lock":
            assert stat.S_IMODE((authority.directory / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(authority.directory.stat().st_mode) == 0o700
    Authority(authority.directory.parent).ensure()
    assert {path.name: path.read_bytes() for path in authority.directory.iterdir()} == files


def test_an_agents_certificate_names_its_instance_and_is_only_a_servers(authority):
    ca, pem, key = authority.issue("6f0a", "127.1.2.3")
    certificate = x509.load_pem_x509_certificate(pem)
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["6f0a"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.1.2.3"]
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert b"PRIVATE KEY" in key
    assert certificate.not_valid_after_utc - certificate.not_valid_before_utc > datetime.timedelta(days=3000)


def test_what_nears_its_end_is_made_anew(authority, monkeypatch):
    _, pem, _ = authority.issue("a", "127.1.2.3")
    before = authority.controller_file.read_bytes()
    assert not authority.expiring(pem)
    monkeypatch.setattr(pki, "RENEW_DAYS", pki.CERTIFICATE_DAYS + 1)
    assert authority.expiring(pem)
    authority.ensure()
    assert authority.controller_file.read_bytes() != before


def test_certificates_of_another_installation_are_to_be_made_anew(authority, tmp_path):
    _, pem, _ = Authority(tmp_path / "other").issue("a", "127.1.2.3")
    assert authority.expiring(pem)
    assert authority.expiring(b"nonsense")


def test_half_an_authority_is_not_silently_replaced(authority):
    (authority.directory / "ca.key").unlink()
    with pytest.raises(DriverError, match="half of the certificate authority"):
        authority.issue("a", "127.1.2.3")


def test_a_damaged_authority_is_said(authority):
    (authority.directory / "ca.key").write_text("nonsense")
    with pytest.raises(DriverError, match="damaged"):
        authority.issue("a", "127.1.2.3")


def test_the_controller_checks_who_answers(authority):
    context = authority.client_context()
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
