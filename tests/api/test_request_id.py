"""api/rest/request_id.py: a retry gets the first answer; one of two does it."""

import asyncio

import pytest


def test_a_retry_gets_the_first_answer(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            key = {"Idempotency-Key": "one"}
            first = await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers=key)
            await http.ask("PATCH", "/v1/sessions/a", {"description": "moved on"})
            again = await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers=key)
            assert (again.status, again.body, again.headers["etag"]) == (201, first.body, '"1"')
            assert again.headers["idempotency-replayed"] == "true"
            assert "idempotency-replayed" not in first.headers

    rest.run(main())


def test_a_deletion_can_be_retried_with_its_version(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            key = {"Idempotency-Key": "end", "If-Match": '"1"'}
            first = await http.ask("DELETE", "/v1/sessions/a?reason=x", headers=key)
            assert (first.status, first.json["version"] > 1) == (202, True)
            again = await http.ask("DELETE", "/v1/sessions/a?reason=x", headers=key)
            assert (again.status, again.body) == (202, first.body)

    rest.run(main())


@pytest.mark.parametrize(
    ("method", "target", "body", "more"),
    [
        ("POST", "/v1/sessions", {"alias": "b"}, {}),
        ("PATCH", "/v1/sessions/a", {"alias": "a"}, {}),
        ("DELETE", "/v1/sessions/a", None, {}),
        ("DELETE", "/v1/sessions/a?reason=x", None, {}),
        ("DELETE", "/v1/sessions/a", None, {"If-Match": '"1"'}),
    ],
)
def test_a_key_is_for_one_request(rest, method, target, body, more):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            key = {"Idempotency-Key": "k"}
            assert (await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers=key)).status == 201
            other = await http.ask(method, target, body, headers=key | more)
            assert (other.status, other.json["code"]) == (422, "request_reused")

    rest.run(main())


def test_of_many_at_once_one_does_it(rest):
    async def main():
        async with rest.stage() as stage:
            key = {"Idempotency-Key": "many"}
            asked = (rest.ask(stage.path, "POST", "/v1/sessions", {"labels": {}}, headers=key) for _ in range(30))
            answers = await asyncio.gather(*asked)
            assert {answer.status for answer in answers} == {201}
            assert len({answer.body for answer in answers}) == 1
            assert len((await rest.ask(stage.path, "GET", "/v1/sessions")).json["items"]) == 1

    rest.run(main())


def test_a_failure_is_not_kept(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            key = {"Idempotency-Key": "k"}
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            assert (await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers=key)).status == 409
            await http.ask("DELETE", "/v1/sessions/a")
            assert (await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers=key)).status == 201

    rest.run(main())


@pytest.mark.parametrize("key", ["", " ", "x" * 129, "a b", "\x7f", "é"])
def test_a_key_is_short_and_visible(rest, key):
    async def main():
        async with rest.stage() as stage:
            answer = await rest.ask(stage.path, "POST", "/v1/sessions", {}, headers={"Idempotency-Key": key})
            assert answer.status in (400, 422)
            assert answer.json["code"] == "invalid"

    rest.run(main())


def test_the_key_stands_in_the_event(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"}, headers={"Idempotency-Key": "why"})
            events = (await http.ask("GET", "/v1/sessions/a/events")).json["items"]
            assert [event["request"] for event in events] == ["why"]

    rest.run(main())
