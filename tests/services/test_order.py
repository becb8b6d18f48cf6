import base64

import pytest

from hawse.domain.errors import Invalid, TooLarge
from hawse.services.order import JobSpec, base_name, checked, made, shown


def spec(**changes) -> JobSpec:
    fields = {"argv": ("work",), "env": {}, "cwd": "/", "umask": 0o22} | changes
    return JobSpec(**fields)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"argv": ()}, Invalid, "command is empty"),
        ({"argv": ("",)}, Invalid, "command is empty"),
        ({"argv": ("a\0b",)}, Invalid, "NUL"),
        ({"env": {"": "x"}}, Invalid, "variable"),
        ({"env": {"A=B": "x"}}, Invalid, "variable"),
        ({"cwd": "here"}, Invalid, "not absolute"),
        ({"umask": -1}, Invalid, "umask"),
        ({"umask": 0o1000}, Invalid, "umask"),
        ({"tty": True, "columns": -1}, Invalid, "terminal of -1x0"),
        ({"tty": True, "rows": 10_001}, Invalid, "terminal of"),
        ({"stdin": "maybe"}, Invalid, "stdin"),
        ({"log_on_full": "explode"}, Invalid, "log_on_full"),
        ({"log_bytes_max": -1}, Invalid, "log_bytes_max"),
        ({"encoding": "latin-1"}, Invalid, "encoding"),
        ({"encoding": "base64", "argv": ("not base64!",)}, Invalid, "base64"),
        ({"env": {"A": "x" * 3_000_000}}, TooLarge, "at most"),
        ({"env": {"A": "x" * 200_000}}, TooLarge, "variable A has 200000 bytes; at most 131072 are possible on Linux"),
        ({"argv": ("x", "é" * 70_000)}, TooLarge, "argument 1 has 140000 bytes"),
    ],
)
def test_bad_orders_are_told_why(changes: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        checked(spec(**changes))


def test_a_terminal_of_size_0_is_taken() -> None:
    assert checked(spec(tty=True, columns=0, rows=0)).tty


@pytest.mark.requirement("S3.1")
def test_the_order_is_the_callers_with_our_variables() -> None:
    order = made(spec(env={"A": "1"}), session="s-id", session_name="train", job="j-id", secret="00")
    assert dict(order.env) == {"A": "1", "HAWSE_SESSION": "s-id", "HAWSE_SESSION_NAME": "train", "HAWSE_JOB": "j-id"}
    assert (order.argv, order.cwd, order.umask) == (("work",), "/", 0o22)


def test_what_is_not_utf8_travels_as_base64() -> None:
    raw = b"caf\xe9"
    given = checked(spec(argv=(b64(b"echo"), b64(raw)), cwd=b64(b"/"), env={b64(b"A"): b64(raw)}, encoding="base64"))
    order = made(given, session="s", session_name="n", job="j", secret="00")
    assert base64.b64decode(order.argv[1]) == raw
    assert base64.b64decode(dict(order.env)[b64(b"HAWSE_SESSION")]) == b"s"
    assert shown(given) == ("echo", "caf\ufffd")


def test_what_is_shown_has_a_bound() -> None:
    assert sum(map(len, shown(spec(argv=("x" * 10_000, "y"))))) < 5000


@pytest.mark.parametrize(
    ("command", "name"),
    [("/usr/bin/vim", "vim"), ("-bash", "bash"), ("./a b", "a-b"), ("é", "job"), ("/", "job"), ("x" * 200, "x" * 56)],
)
def test_a_job_is_named_after_its_program(command: str, name: str) -> None:
    assert base_name(spec(argv=(command,))) == name
