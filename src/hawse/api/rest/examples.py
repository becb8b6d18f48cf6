"""Examples of the OpenAPI document. A test sends each request of them."""

from __future__ import annotations

from typing import Any

_JOB = {
    "argv": ["python3", "train.py"],
    "env": {"PATH": "/usr/bin:/bin"},
    "cwd": "/home/ada",
    "tty": {"columns": 80, "rows": 24},
}

EXAMPLES: dict[str, Any] = {
    "create_session": {"alias": "train", "description": "night run", "labels": {"model": "v3"}, "job": _JOB},
    "describe_session": {"description": "night run, second try", "labels": {"model": "v3", "try": "2"}},
    "extend_session": {"by_s": 3600},
    "run_job": {"argv": ["nvidia-smi", "-l", "5"], "env": {}, "cwd": "/", "name": "gpu"},
    "signal_job": {"signal": "USR1"},
    "attach": {"job": "train", "mode": "control", "where": "laptop /dev/pts/3"},
    "share": {"principal": "uid:1001", "role": "observer", "can": ["job:watch@train"], "expires_at": 4102444800.0},
    "make_link": {"role": "observer", "uses_max": 5},
    "redeem_link": {"secret": "01a20889-bacf-7c96-9dbd-f25e812b4462.dGhpcyBpcyBub3QgYSBzZWNyZXQgb2YgYW55Ym9keQ"},
    "give_session": {"user": "ada"},
    "add_user": {"name": "ada", "uids": [1001], "groups": ["group:staff"], "about": "Ada, group of numbers"},
    "change_user": {"uids": [1001, 1002], "is_admin": True},
    "make_token": {"name": "laptop", "user": "ada", "expires_at": 4102444800.0, "read_only": True},
    "add_project": {"name": "ci", "sessions_max": 20, "lease_s_max": 43200, "members": ["group:staff"]},
    "change_project": {"sessions_max": None, "members_added": ["user:ada"], "policies": {"on_disconnect": "keep"}},
    "problem": {
        "type": "about:blank",
        "title": "Precondition Failed",
        "status": 412,
        "code": "conflict",
        "retry": True,
        "next": "",
        "detail": "session 01a20889-bacf-7c96-9dbd-f25e812b4462 is at version 4, not 3: somebody changed it meanwhile",
        "request": "042a06c4-17",
        "version": 4,
    },
    "event_stream": 'id: 3\nevent: job.started\ndata: {"seq": 3, "kind": "job.started", "...": "..."}\n\n',
}
