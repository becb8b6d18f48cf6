"""api/rest/problem.py: every error is a problem document, and none shows our insides."""

import pytest

from hawse.api.rest.problem import document
from hawse.domain import errors
from hawse.domain.errors import Problem

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Problem)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_an_error_tells_its_own_columns(rest, kind, monkeypatch):
    async def fails(*_args, **_more):
        raise kind("what happened", next_step="do this", limit=7, status="not this")

    monkeypatch.setattr("hawse.services.session.get", fails)

    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "GET", "/v1/sessions/a")
            assert (answer.status, answer.headers["content-type"]) == (kind.http, "application/problem+json")
            told = answer.json
            assert (told["code"], told["retry"], told["detail"]) == (kind.code, kind.retry, "what happened")
            assert (told["next"], told["limit"], told["status"]) == ("do this", 7, kind.http)
            assert told["request"] == answer.headers["hawse-request"]
            assert told["type"] == "about:blank"

    rest.run(main())


@pytest.mark.parametrize(
    "error", [RuntimeError("secret /home/x"), KeyError("secret"), RecursionError(), AssertionError()]
)
def test_our_bug_is_logged_and_not_shown(rest, monkeypatch, caplog, error):
    async def fails(*_args, **_more):
        raise error

    monkeypatch.setattr("hawse.services.session.get", fails)

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            answer = await http.ask("GET", "/v1/sessions/a")
            assert (answer.status, answer.json["code"]) == (500, "internal")
            assert b"secret" not in answer.body
            assert b"Traceback" not in answer.body
            assert answer.json["request"] in answer.json["detail"]
            assert answer.json["request"] in caplog.text
            assert "Traceback" in caplog.text
            assert (await http.ask("GET", "/healthz")).status == 200

    rest.run(main())


@pytest.mark.parametrize(
    ("method", "target", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/v1", 404, "not_found"),
        ("GET", "/v1/sessions/a/b/c/d", 404, "not_found"),
        ("GET", "/schema/nothing", 404, "not_found"),
        ("GET", "/v1/sessions/%00", 422, "invalid"),
        ("GET", "/v1/sessions/%ff%fe", 422, "invalid"),
        ("GET", "/v1/sessions/" + "x" * 65, 422, "invalid"),
        ("GET", "/v1/sessions/a%20b", 422, "invalid"),
        ("GET", "/v1/sessions/absent", 404, "not_found"),
        ("GET", "/v1/sessions/00000000-0000-7000-8000-000000000000", 404, "not_found"),
        ("PUT", "/v1/sessions", 405, "invalid"),
        ("BREW", "/v1/sessions", 400, "invalid"),
        ("GET", "/v1/sessions?limit=0", 422, "invalid"),
        ("GET", "/v1/sessions?limit=1001", 422, "invalid"),
        ("GET", "/v1/sessions?limit=x", 422, "invalid"),
        ("GET", "/v1/sessions?state=some", 422, "invalid"),
        ("GET", "/v1/sessions?stat=all", 422, "invalid"),
        ("GET", "/v1/sessions/a/events?from=99999999999999999999", 422, "invalid"),
        ("GET", "/v1/sessions/a/jobs/b?wait_s=nan", 422, "invalid"),
        ("GET", "/v1/sessions/a/jobs/b?wait_s=-1", 422, "invalid"),
        ("GET", "/v1/sessions/a/jobs/b?wait_s=61", 422, "invalid"),
        ("DELETE", "/v1/sessions/a?grace_s=-1", 422, "invalid"),
        ("DELETE", "/v1/sessions/a?grace_s=inf", 422, "invalid"),
        ("DELETE", "/v1/sessions/a?grace_s=nan", 422, "invalid"),
        ("DELETE", "/v1/sessions/a/attachments/zz", 422, "invalid"),
    ],
)
def test_what_is_wrong_with_a_request_is_told(rest, method, target, status, code):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB | {"name": "b"}})
            answer = await http.ask(method, target)
            assert (answer.status, answer.json["code"], answer.headers["content-type"]) == (
                status,
                code,
                "application/problem+json",
            )
            if status == 405:
                assert set(answer.headers["allow"].split(", ")) == {"GET", "POST", "OPTIONS"}

    rest.run(main())


BAD_NAME = "is not valid: letters, digits, '.', '_', '+' and '-' are allowed, and it starts with a letter or a digit"


@pytest.mark.parametrize(
    ("method", "target", "body", "told"),
    [
        ("POST", "/v1/sessions", {"alias": "a b"}, f"the alias 'a b' {BAD_NAME}"),
        ("POST", "/v1/sessions", {"alias": ""}, f"the alias '' {BAD_NAME}"),
        ("POST", "/v1/sessions", {"alias": "x" * 65}, "the alias has 65 characters; at most 64 are allowed"),
        ("POST", "/v1/sessions", {"labels": {"-k": "v"}}, f"the label '-k' {BAD_NAME}"),
        ("PATCH", "/v1/sessions/a", {"alias": "ä"}, f"the alias 'ä' {BAD_NAME}"),
        ("PATCH", "/v1/sessions/a", {"description": "x\0"}, "the description holds a NUL character"),
        ("PATCH", "/v1/sessions/a", {"labels": {"k": "v\0"}}, "the label 'k' holds a NUL character"),
        ("POST", "/v1/sessions/a/jobs", {"name": "a/b"}, f"the job's name 'a/b' {BAD_NAME}"),
        ("POST", "/v1/sessions/a/jobs", {"cwd": "/\0"}, "a NUL character cannot be part of a command"),
        ("POST", "/v1/sessions/a/attachments", {"job": "a b"}, f"the job's name 'a b' {BAD_NAME}"),
        ("POST", "/v1/sessions/a/attachments", {"where": "\0"}, "the place holds a NUL character"),
        ("POST", "/v1/sessions/a/attachments", {"attachment": "z" * 36}, "is not the id of an attachment"),
        ("POST", "/v1/sessions/a/jobs/b/signal", {"signal": "a b"}, "there is no signal 'a b'"),
        ("GET", "/v1/sessions/a%20b", None, f"the session's name 'a b' {BAD_NAME}"),
        ("GET", "/v1/sessions/" + "x" * 65, None, "the session's name has 65 characters; at most 64 are allowed"),
        ("GET", "/v1/sessions/a/jobs/-b", None, f"the job's name '-b' {BAD_NAME}"),
        ("GET", "/v1/sessions/a/logs/-b", None, f"the job's name '-b' {BAD_NAME}"),
        ("DELETE", "/v1/sessions/a/attachments/zz", None, "'zz' is not the id of an attachment"),
    ],
)
def test_a_rule_for_a_text_is_told_in_words(rest, method, target, body, told):
    """Never as the regular expression that the schema has for programs."""
    if body is not None and target.endswith("/jobs"):
        body = rest.JOB | body

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB | {"name": "b"}})
            answer = await http.ask(method, target, body)
            assert (answer.status, answer.json["code"]) in ((422, "invalid"), (413, "too_large"))
            assert told in answer.json["detail"]
            assert "regex" not in answer.json["detail"]

    rest.run(main())


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("/v1/sessions/a/events?from=x", ["from", "a whole number"]),
        ("/v1/sessions/a/events?from=-1", ["from", "not a whole number, 0 to"]),
        ("/v1/sessions/a/logs/b?from=x", ["from", "a whole number"]),
        ("/v1/sessions?state=some", ["state", "'some'"]),
        ("/v1/sessions?limit=x", ["limit", "a whole number"]),
        ("/v1/sessions/a/jobs/b?wait_s=x", ["wait_s", "a number"]),
    ],
)
def test_a_parameter_is_told_by_the_name_that_it_has_in_the_query(rest, target, told):
    """`from` is no name in Python; what the handler calls it instead is nobody's business."""
    name, rule = told

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB | {"name": "b"}})
            answer = await http.ask("GET", target)
            assert (answer.status, answer.json["code"]) == (422, "invalid")
            assert answer.json["detail"].startswith(f"{name}: ")
            assert rule in answer.json["detail"]
            assert [parameter["key"] for parameter in answer.json["parameters"]] == [name]

    rest.run(main())


@pytest.mark.parametrize(
    ("target", "next_step"),
    [
        ("/v1/sessions/a/attachments/00000000-0000-7000-8000-000000000000", "hawse show a lists who is attached"),
        ("/v1/sessions/absent", "hawse ls lists the living sessions"),
        ("/v1/sessions/00000000-0000-7000-8000-000000000000", "hawse ls lists the living sessions"),
        ("/v1/sessions/absent/events", "hawse ls lists the living sessions"),
        ("/v1/sessions/a/jobs/absent", "hawse show a lists its jobs"),
        ("/v1/sessions/a/logs/absent", "hawse show a lists its jobs"),
        ("/v1/sessions/a/jobs/00000000-0000-7000-8000-000000000000", "hawse show a lists its jobs"),
    ],
)
def test_what_is_not_there_is_told_with_the_next_step(rest, target, next_step):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB | {"name": "b"}})
            answer = await http.ask("DELETE" if "attachments" in target else "GET", target)
            assert (answer.status, answer.json["code"], answer.json["next"]) == (404, "not_found", next_step)

    rest.run(main())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[1",
        b"\xff\xfe",
        b'{"alias": "\xff"}',
        b'{"alias": "a"} x',
        b"null",
        b"3",
        b"[" * 100_000,
        b'{"a":' * 5000,
    ],
)
def test_a_body_that_is_no_json_is_told(rest, body):
    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "POST", "/v1/sessions", raw=body)
            assert (answer.status, answer.json["code"]) == (422, "invalid")

    rest.run(main())


def test_facts_never_replace_a_fixed_field():
    problem = errors.Clash("x", code="evil", request="evil", other=object)
    assert b"evil" not in document(problem, status=409, request="1")


def test_options_tell_what_is_possible(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            for target, methods in (
                ("/v1/sessions", "GET, OPTIONS, POST"),
                ("/v1/sessions/a", "DELETE, GET, OPTIONS, PATCH"),
            ):
                answer = await http.ask("OPTIONS", target)
                assert (answer.status, answer.headers["allow"]) == (204, methods)

    rest.run(main())
