"""`hawse ca`: what it makes, that OpenSSL agrees, and what it refuses."""

import datetime
import json
import os
import ssl
import subprocess
import sys

import pytest

from hawse.cli.ca.authority import Authority, alternative, names_of, read
from hawse.domain.errors import Clash, Denied, Invalid, NotFound

NOW = datetime.datetime(2030, 5, 1, 12, 0, tzinfo=datetime.UTC)


@pytest.fixture
def authority(tmp_path):
    made = Authority(str(tmp_path / "ca"))
    made.init("test", days=100, now=NOW)
    return made


def hawse(*words, code=0):
    done = subprocess.run([sys.executable, "-m", "hawse.cli", "ca", *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr + done.stdout


def test_keys_are_their_user_s_alone(authority, tmp_path):
    _, key, _ = authority.issue(["localhost"], str(tmp_path), days=1, now=NOW)
    assert os.stat(authority.key).st_mode & 0o777 == 0o600
    assert os.stat(key).st_mode & 0o777 == 0o600
    assert os.stat(authority.folder).st_mode & 0o777 == 0o700


def test_what_is_issued(authority, tmp_path):
    certificate, key, made = authority.issue(["a.example.org", "192.0.2.1", "::1"], str(tmp_path), days=30, now=NOW)
    assert names_of(made) == ["a.example.org", "192.0.2.1", "::1"]
    assert made.not_valid_after_utc - NOW == datetime.timedelta(days=30)
    assert made.not_valid_before_utc == NOW - datetime.timedelta(hours=1)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
    again, _, other = authority.issue(["a.example.org"], str(tmp_path), days=30, now=NOW)
    assert again == certificate  # it is replaced
    assert read(certificate).serial_number == other.serial_number != made.serial_number


def test_openssl_believes_it(authority, tmp_path, need):
    certificate, _, _ = authority.issue(["a.example.org"], str(tmp_path), days=30, now=NOW)
    words = [need("openssl"), "verify", "-CAfile", authority.certificate, "-purpose", "sslserver", "-verify_hostname"]
    at = ["-attime", str(int(NOW.timestamp()))]
    done = subprocess.run([*words, "a.example.org", *at, "-x509_strict", certificate], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([*words, "b.example.org", *at, certificate], capture_output=True, text=True)
    assert done.returncode != 0


def test_nothing_outlives_its_authority(authority, tmp_path):
    _, _, made = authority.issue(["h"], str(tmp_path), days=3650, now=NOW)
    assert made.not_valid_after_utc == read(authority.certificate).not_valid_after_utc
    with pytest.raises(Invalid, match="has expired"):
        authority.issue(["h"], str(tmp_path), days=1, now=NOW + datetime.timedelta(days=101))


@pytest.mark.parametrize("name", ["", "a b", "http://x", "-x", "x..y", "*", "a/b", "x" * 254, "ä.example"])
def test_what_is_no_name(name):
    with pytest.raises(Invalid, match="is not the name of a host"):
        alternative(name)


def test_what_is_refused(authority, tmp_path):
    with pytest.raises(Clash, match="there is an authority already"):
        authority.init("again", days=1, now=NOW)
    with pytest.raises(NotFound, match="there is no authority"):
        Authority(str(tmp_path / "none")).issue(["h"], str(tmp_path), days=1, now=NOW)
    os.chmod(authority.key, 0o640)
    with pytest.raises(Denied, match="others can read"):
        authority.issue(["h"], str(tmp_path), days=1, now=NOW)


def test_by_hand(places, tmp_path):
    assert "HAWSE_CA" in hawse("init")
    told = json.loads(hawse("issue", "localhost", "127.0.0.1", "--out", str(tmp_path), "--json"))
    assert told["certificate"] == f"{tmp_path}/localhost.pem"
    shown = hawse("show", told["certificate"])
    assert "for:     localhost, 127.0.0.1" in shown
    assert "by:      CN=hawse" in shown
    assert json.loads(hawse("show", "--json"))["subject"] == "CN=hawse"
    assert "hawse ca issue NAME" in hawse("init", code=1)
    assert "there is no file" in hawse("show", "/nowhere.pem", code=1)
