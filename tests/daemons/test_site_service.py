"""A site's service of one's own account: started by its configuration, watched by a manager, its log moved away."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
import warnings

import pytest

from hawse.client.find import endpoint
from hawse.client.tls import TlsTunnel


@pytest.fixture
def configured(places, tmp_path, monkeypatch):
    """A configuration with https and a shared socket, and the certificate that it needs."""
    for words in (["init"], ["issue", "localhost", "127.0.0.1", "--out", str(tmp_path)]):
        subprocess.run([sys.executable, "-m", "hawse.cli", "ca", *words], check=True, capture_output=True)
    monkeypatch.setenv("HAWSE_CA", f"{places.config}/ca/ca.pem")
    path = tmp_path / "site.toml"
    path.write_text(
        f'state_dir = "{places.state}"\nruntime_dir = "{places.runtime}"\n'
        f'[unix]\npath = "{places.base}/pub.sock"\n'
        '[https]\naddress = "127.0.0.1:0"\n'
        f'certificate = "{tmp_path}/localhost.pem"\nkey = "{tmp_path}/localhost.key"\n'
        "[site]\nlocal_accounts = true\nadmins = [0]\n"
        f'[log]\nfile = "{tmp_path}/service.log"\n'
    )
    return path


@pytest.mark.requirement("S0.1")
def test_it_says_when_it_is_ready_and_goes_on_in_a_new_log(
    coordinator, configured, places, tmp_path, monkeypatch, eventually
):
    address = f"@hawse-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + address[1:])
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        coordinator.start("--config", str(configured))
        said = manager.recv(1000).decode()
        assert said.startswith("READY=1\nSTATUS=serves unix:")
        status = coordinator.ask("GET", "/v1/status")[1]
        assert status["listens"][0] == f"unix:{places.base}/pub.sock"
        port = re.fullmatch(r"https://127.0.0.1:(\d+)", status["listens"][1])[1]
        assert status["certificate_expires_at"] > status["started_at"] + 80 * 86400
        _, made = coordinator.ask(
            "POST", "/v1/sessions", {"alias": "demo", "lease": "never"}, **{"Idempotency-Key": "k"}
        )
        os.rename(tmp_path / "service.log", tmp_path / "service.log.1")
        coordinator.process.send_signal(signal.SIGHUP)
        assert manager.recv(1000).startswith(b"RELOADING=1\n")
        assert manager.recv(1000) == b"READY=1"
        job = {"argv": ["sleep", "600"], "env": {}, "cwd": "/"}
        _, run = coordinator.ask("POST", "/v1/sessions/demo/jobs", job)
        lines = eventually(
            lambda: [one for one in _lines(tmp_path / "service.log") if one.get("path", "").endswith("/jobs")]
        )
        assert lines[0]["session"] == made["id"]
        assert lines[0]["request"]
        assert any(one.get("path") == "/v1/sessions" for one in _lines(tmp_path / "service.log.1"))
        assert eventually(lambda: coordinator.ask("GET", f"/v1/sessions/demo/jobs/{run['id']}")[1]["pid"])
        pid = coordinator.ask("GET", f"/v1/sessions/demo/jobs/{run['id']}")[1]["pid"]
        assert coordinator.stop() == 0
        assert manager.recv(1000) == b"STOPPING=1"
        os.kill(pid, 0)  # the job goes on
        assert not os.path.exists(f"{places.base}/pub.sock")
    monkeypatch.delenv("NOTIFY_SOCKET")
    coordinator.start("--config", str(configured))
    assert coordinator.ask("GET", f"/v1/sessions/demo/jobs/{run['id']}")[1]["pid"] == pid
    assert port


def test_tls_is_1_2_or_newer(coordinator, configured, monkeypatch, places):
    coordinator.start("--config", str(configured))
    port = int(coordinator.ask("GET", "/v1/status")[1]["listens"][1].rpartition(":")[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for version, is_good in (("TLSv1_1", False), ("TLSv1_2", True), ("TLSv1_3", True)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # that is the point
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion[version]
        with socket.create_connection(("127.0.0.1", port)) as plain:
            if is_good:
                with context.wrap_socket(plain) as link:
                    assert link.version() == version.replace("_", ".")
            else:
                with pytest.raises(OSError):
                    context.wrap_socket(plain)


def test_check_config_and_units(configured, tmp_path):
    words = [sys.executable, "-m", "hawse.cli", "serve", "--config", str(configured)]
    done = subprocess.run([*words, "--check-config"], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told["https"]["names"] == ["localhost", "127.0.0.1"]
    done = subprocess.run([*words, "--systemd-units", str(tmp_path / "units")], capture_output=True, text=True)
    assert [os.path.basename(line) for line in done.stdout.split()] == [
        "hawse.service",
        "hawse.sysusers",
        "hawse.logrotate",
    ]
    configured.write_text(configured.read_text() + "\n[jobs]\nhelpr = 1\n")
    done = subprocess.run([*words, "--check-config"], capture_output=True, text=True)
    assert done.returncode == 64
    assert "[jobs] helpr is not known; did you mean helper?" in done.stderr
    done = subprocess.run([*words[:4], "--check-config"], capture_output=True, text=True)
    assert "--check-config needs a configuration" in done.stderr


@pytest.mark.requirement("S1.7")
def test_a_tunnel_delivers_the_last_words_at_the_process_s_end(coordinator, configured, monkeypatch, places):
    """A process that ends right after it said something: it is heard all the same."""
    coordinator.start("--config", str(configured))
    port = int(coordinator.ask("GET", "/v1/status")[1]["listens"][1].rpartition(":")[2])
    script = (
        "import time\nfrom hawse.client.find import endpoint\n"
        f"tunnel = endpoint('https://localhost:{port}').tls(time.monotonic() + 20)\n"
        "tunnel.socket.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: h\\r\\nLast: words\\r\\n\\r\\n')\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
    coordinator.stop()
    lines = _lines(configured.parent / "service.log")
    assert [one["path"] for one in lines if one.get("kind") == "request" and one["peer"] == 0] == ["/healthz"]


def test_a_tunnel_is_an_ordinary_socket(coordinator, configured, places):
    coordinator.start("--config", str(configured))
    port = int(coordinator.ask("GET", "/v1/status")[1]["listens"][1].rpartition(":")[2])
    tunnel = endpoint(f"https://localhost:{port}").tls(time.monotonic() + 20)
    assert isinstance(tunnel, TlsTunnel)
    with tunnel.socket as link:
        link.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        link.settimeout(20)
        data = b""
        while part := link.recv(4096):
            data += part
    assert data.startswith(b"HTTP/1.1 200 ")
    tunnel._thread.join(20)
    assert tunnel.is_over


def _lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
