"""The files with which a site runs the service under systemd: `hawse serve --config FILE --systemd-units DIR`.

Pure but for `write_units`. What a unit restricts, everything that it starts inherits: so the coordinator is shut in
where the jobs are not its children (they are the helper's), and the helper, whose children they are, is not. That one
is kept small instead.
"""

from __future__ import annotations

import os

from hawse.daemons import as_user
from hawse.daemons.site import SiteConfig
from hawse.domain.errors import Unavailable

ACCOUNT = "hawse"
SERVICE, HELPER = "hawse.service", "hawse-as-user.service"

_SHUT_IN = """
# Jobs are not started by this unit: it may be shut in. (man systemd.exec)
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={paths}
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
UMask=0077
"""

_OPEN = """
# All jobs are started by this unit, as its user: what is forbidden here is forbidden to them.
Delegate=yes
UMask=0077
"""

_SERVICE = """\
# Written by: hawse serve --config {config} --systemd-units
[Unit]
Description=hawse: durable sessions for this site
Wants=network-online.target{wants}
After=network-online.target{wants}

[Service]
Type=notify
ExecStart={program} serve --config {config}
ExecReload=/bin/kill -HUP $MAINPID
User={account}
Group={account}
RuntimeDirectory=hawse
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
StateDirectory=hawse
StateDirectoryMode=0700
LogsDirectory=hawse
LogsDirectoryMode=0750
# Stopping lets go of the jobs: they go on, and the next start finds them again.
KillMode=process
TimeoutStopSec=20
Restart=on-failure
RestartSec=1
LimitNOFILE=65536
OOMPolicy=continue
{more}
[Install]
WantedBy=multi-user.target
"""

_HELPER = """\
# Written by: hawse serve --config {config} --systemd-units
# This is the one part that runs as root. Every restriction here would be one on the users' jobs, so there is none:
# the program is short, and docs/explanation/as-user.md says how to read it.
[Unit]
Description=hawse: starts jobs as the users who own them
Before={service}

[Service]
Type=exec
ExecStart={python} -I {helper} --caller {account} --socket {socket} --run {run} --state {state} \\
    --python {python} --source {source} --cgroups
# What it has started goes on without it.
KillMode=process
Delegate=yes
OOMPolicy=continue
Restart=always
RestartSec=1

[Install]
WantedBy=multi-user.target
"""

_SYSUSERS = """\
# /usr/lib/sysusers.d/hawse.conf: the account of the service (man sysusers.d)
u {account} - "hawse coordinator" {state} /usr/sbin/nologin
"""

_LOGROTATE = """\
# /etc/logrotate.d/hawse: for who wants more than the few files that hawse keeps by itself (man logrotate)
{log} {{
    weekly
    rotate 8
    missingok
    notifempty
    compress
    delaycompress
    su {account} {account}
    postrotate
        systemctl kill --signal=HUP --kill-who=main {service}
    endscript
}}
"""


def units(site: SiteConfig, *, program: str, python: str, source: str) -> dict[str, str]:
    """File names and texts. program: hawse's own path; python: its interpreter; source: the folder with its package."""
    log = site.log or site.places.coordinator_log
    run, state = site.run or "/run/hawse-jobs", site.job_state or "/var/lib/hawse-jobs"
    folders = [site.state, os.path.dirname(log), run, state]
    if site.unix is not None:
        folders.append(os.path.dirname(site.unix.path))
    paths = " ".join(dict.fromkeys(f"-{folder}" for folder in folders))
    told = {
        "config": site.file, "program": program, "python": python, "source": source, "account": ACCOUNT,
        "helper": f"{source}/hawse/daemons/as_user.py", "service": SERVICE, "log": log, "run": run, "state": state,
        "socket": site.helper, "wants": f" {HELPER}" if site.helper else "",
        "more": (_SHUT_IN.format(paths=paths) if site.helper else _OPEN).strip("\n") + "\n",
    }  # fmt: skip
    made = {
        SERVICE: _SERVICE.format(**told),
        "hawse.sysusers": _SYSUSERS.format(**{**told, "state": site.state}),
        "hawse.logrotate": _LOGROTATE.format(**told),
    }
    if site.helper:
        made[HELPER] = _HELPER.format(**told)
    return made


def write_units(site: SiteConfig, folder: str, *, program: str, python: str) -> list[str]:
    """Write them there; their paths. What was there is replaced. Raises Unavailable."""
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(as_user.__file__))))
    written = []
    try:
        os.makedirs(folder, exist_ok=True)
        for name, text in units(site, program=program, python=python, source=source).items():
            path = os.path.join(folder, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            written.append(path)
    except OSError as error:
        raise Unavailable(f"{error.filename}: {error.strerror}", next_step="choose a folder of your own") from error
    return written
