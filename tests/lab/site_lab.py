"""A whole site's service on this machine: accounts, the privileged helper as root, the coordinator as its own account.

    with SiteLab(Path("/tmp/short"), far) as site:
        ada = site.user("ada")                        # an account, known to the service by its uid
        ada.hawse("new", "-d", "demo", "--", "id")    # over the shared socket
        ada.hawse("ls", over="https")                 # the same with a token of hers

Needs root. Only processes that the lab started, or that run as its accounts, are ended, each by its id.
"""

import json
import os
import pwd
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sshd import Account, Lab, _remove, free_port, program

HELPER = "lib/python{}.{}/site-packages/hawse/daemons/as_user.py".format(*sys.version_info[:2])
READY_S = 20.0


@dataclass
class User:
    """Somebody with an account and a token."""

    site: "SiteLab"
    account: Account
    token: str = ""

    @property
    def uid(self) -> int:
        return self.account.uid

    def environ(self, over: str = "unix", **more: str) -> dict[str, str]:
        """What makes her client speak to the service."""
        told = {
            "HOME": str(self.account.home), "USER": self.account.login, "LOGNAME": self.account.login,
            "PATH": f"{self.site.far}/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "NO_COLOR": "1", "TERM": "xterm",
            "HAWSE_SERVER": self.site.address(over),
        }  # fmt: skip
        if over == "https":
            told |= {"HAWSE_CA": f"{self.site.folder}/ca/ca.pem", "HAWSE_TOKEN_FILE": f"{self.account.home}/token"}
        return told | more

    def run(self, *words: str, over: str = "unix", environ: Any = None, **settings: Any) -> Any:
        """One command of hers."""
        settings.setdefault("stdin", subprocess.DEVNULL)
        return subprocess.run(
            [str(self.site.far / "bin" / "hawse"), *words], user=self.uid, group=self.uid, extra_groups=[],
            cwd=self.account.home, env=self.environ(over, **(environ or {})), text=True, capture_output=True,
            timeout=90, **settings,
        )  # fmt: skip

    def hawse(self, *words: str, code: int = 0, over: str = "unix") -> str:
        """One command that ends with this code; its output."""
        done = self.run(*words, over=over)
        assert done.returncode == code, f"hawse {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return str(done.stdout)

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """A shell command as her."""
        return self.account.run("sh", "-c", command)


@dataclass
class SiteLab:
    """folder: short, and readable by everybody; far: see sshd.install."""

    folder: Path
    far: Path
    owners: bool = True
    users: dict[str, User] = field(default_factory=dict)
    accounts: list[Account] = field(default_factory=list)
    helper: "subprocess.Popen[bytes] | None" = None
    coordinator: "subprocess.Popen[bytes] | None" = None
    service: Account = None  # type: ignore[assignment]
    port: int = 0

    def __enter__(self) -> "SiteLab":
        self.folder.chmod(0o755)
        self.service = self.account("svc", shell="/usr/sbin/nologin")
        self.port = free_port()
        for name in ("state", "run", "tls", "pub"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, self.service.uid, self.service.uid)
        (self.folder / "pub").chmod(0o755)
        self.certify(days=30)
        self.configure()
        try:
            self.start_helper()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.stop_helper()
        for account in self.accounts:
            _remove(account)

    # -- setting up ---------------------------------------------------------------------------------------------------

    def account(self, name: str, *, shell: str = "/bin/bash") -> Account:
        login = f"hs{os.getpid() % 100000}{name}"[:30]
        words = [str(program("useradd")), "-m", "-U", "-s", shell, "-p", "*", login]
        subprocess.run(words, check=True, capture_output=True, timeout=60)
        entry = pwd.getpwnam(login)
        assert entry.pw_uid == entry.pw_gid
        made = Account(name, login, entry.pw_uid, Path(entry.pw_dir))
        self.accounts.append(made)
        return made

    def certify(self, *names: str, days: int = 30, now: Any = None) -> None:
        """A certificate for these names (localhost), by the lab's authority."""
        import datetime

        from hawse.cli.ca.authority import Authority

        moment = now or datetime.datetime.now(datetime.UTC)
        authority = Authority(str(self.folder / "ca"))
        if not (self.folder / "ca").exists():
            authority.init("lab", days=365, now=moment)
            (self.folder / "ca").chmod(0o755)
        chosen = names or ("localhost", "127.0.0.1")
        certificate, key, _ = authority.issue(chosen, str(self.folder / "tls"), days=days, now=moment)
        os.replace(certificate, self.folder / "tls" / "cert.pem")
        os.replace(key, self.folder / "tls" / "cert.key")
        os.chown(self.folder / "tls" / "cert.key", self.service.uid, self.service.uid)

    def configure(self, **more: str) -> None:
        """Write site.toml. more: further tables, as text."""
        tables = {
            "": f'state_dir = "{self.folder}/state"\nruntime_dir = "{self.folder}/run"',
            "unix": f'path = "{self.folder}/pub/hawse.sock"\nmode = "0666"',
            "https": f'address = "127.0.0.1:{self.port}"\ncertificate = "{self.folder}/tls/cert.pem"\n'
            f'key = "{self.folder}/tls/cert.key"',
            "site": f"local_accounts = true\nadmins = [0, {self.service.uid}]",
        }
        if self.owners:
            tables["jobs"] = (
                f'helper = "{self.folder}/h/socket"\nrun_dir = "{self.folder}/j"\nstate_dir = "{self.folder}/l"'
            )
        lines = [f"[{name}]\n{text}" if name else text for name, text in {**tables, **more}.items()]
        (self.folder / "site.toml").write_text("\n\n".join(lines) + "\n")

    # -- processes ----------------------------------------------------------------------------------------------------

    def start_helper(self, *more: str) -> None:
        python = self.far / "bin" / "python"
        words = [
            str(python), "-I", str(self.far / HELPER), "--caller", self.service.login,
            "--socket", f"{self.folder}/h/socket", "--run", f"{self.folder}/j", "--state", f"{self.folder}/l",
            "--python", str(python), "--source", str((self.far / HELPER).parents[2]), *more,
        ]  # fmt: skip
        with open(self.folder / "helper.log", "ab") as said:
            self.helper = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/")
        self._until(lambda: (self.folder / "h" / "socket").exists(), "the helper")

    def stop_helper(self, number: int = signal.SIGTERM) -> None:
        if self.helper is not None:
            self.helper.send_signal(number)
            self.helper.wait(READY_S)
            self.helper = None
            with suppress(FileNotFoundError):
                (self.folder / "h" / "socket").unlink()

    def start(self, *more: str) -> None:
        """The coordinator, as its account, until it answers."""
        words = [
            str(self.far / "bin" / "hawse"),
            "serve",
            "--config",
            f"{self.folder}/site.toml",
            "--foreground",
            *more,
        ]
        with open(self.folder / "serve.log", "ab") as said:
            self.coordinator = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd="/", user=self.service.uid,
                group=self.service.uid, extra_groups=[], start_new_session=True,
                env={"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8"},
            )  # fmt: skip
        self._until(self.answers, "the coordinator")

    def answers(self) -> bool:
        assert self.coordinator is not None
        assert self.coordinator.poll() is None, (self.folder / "serve.log").read_text()
        return self.ask("GET", "/readyz")[0] == 200

    def ask(self, method: str, target: str, body: object = None) -> tuple[int, Any]:
        """A request as root over the shared socket."""
        words = ["curl", "-s", "-o", "-", "-w", "\n%{http_code}", "--unix-socket", f"{self.folder}/pub/hawse.sock"]
        if body is not None:
            words += ["-H", "content-type: application/json", "-d", json.dumps(body)]
        done = subprocess.run([*words, "-X", method, f"http://h{target}"], capture_output=True, timeout=60)
        text, _, code = done.stdout.decode().rpartition("\n")
        return int(code or 0), json.loads(text) if text else None

    def stop(self, number: int = signal.SIGTERM) -> None:
        if self.coordinator is not None and self.coordinator.poll() is None:
            self.coordinator.send_signal(number)
            self.coordinator.wait(READY_S)
        self.coordinator = None

    def _until(self, condition: Any, what: str) -> None:
        deadline = time.monotonic() + READY_S
        while not condition():
            logs = "".join(path.read_text() for path in self.folder.glob("*.log"))
            assert time.monotonic() < deadline, f"{what} does not come\n{logs}"
            time.sleep(0.02)

    # -- users --------------------------------------------------------------------------------------------------------

    def address(self, over: str) -> str:
        return f"https://localhost:{self.port}" if over == "https" else f"unix:{self.folder}/pub/hawse.sock"

    def user(self, name: str) -> User:
        """An account that the service knows by its uid, with a token in ~/token."""
        made = User(self, self.account(name))
        status, told = self.ask("POST", "/v1/users", {"name": name, "uids": [made.uid]})
        assert status == 201, told
        status, told = self.ask("POST", "/v1/tokens", {"name": "lab", "user": name})
        assert status == 201, told
        made.token = told["secret"]
        path = made.account.home / "token"
        path.write_text(made.token)
        path.chmod(0o600)
        os.chown(path, made.uid, made.uid)
        self.users[name] = made
        return made


__all__ = ["Lab", "SiteLab", "User"]
