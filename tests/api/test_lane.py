"""api/rest/lane.py: the short way says what the long one says, and takes only what is plainly right."""

from typing import Annotated

import pytest
from litestar import Litestar, get
from litestar.params import PathParameter

from hawse.api.rest.app import ALL, routes
from hawse.api.rest.caller import Visit
from hawse.api.rest.lane import Lane, Lanes

ID = "0" * 36
OF_ONE_REQUEST = ("hawse-request", "date", "content-length")  # a request's id is part of its problem


def lanes() -> Lanes:
    return Lanes(routes(), ALL)


def found(method: str, target: str, host: bytes = b"h"):
    path, _, query = target.partition("?")
    scope = {"method": method, "path": path, "query_string": query.encode()}
    call = lanes().found(scope, Visit(None, None, "1", [(b"host", host)]))
    return call and (call[0].__name__, call[1])


def test_every_operation_that_needs_no_query_has_a_lane():
    made = [lane.handle for each in lanes()._lanes.values() for lane in each]
    assert sorted(map(id, made)) == sorted(id(handler.fn) for handler in ALL if handler.operation_id != "read_screen")


@pytest.mark.parametrize(
    ("method", "target", "call"),
    [
        ("GET", "/healthz", ("health", {})),
        ("POST", "/v1/sessions", ("create", {})),
        ("PATCH", "/v1/sessions/train", ("describe", {"session": "train"})),
        ("GET", f"/v1/sessions/{ID}/logs/j", ("read", {"session": ID, "job": "j"})),
        ("POST", "/v1/sessions/train/jobs/j/signal", ("signal", {"session": "train", "job": "j"})),
        ("DELETE", f"/v1/sessions/s/attachments/{ID}", ("detach", {"session": "s", "attachment": ID})),
    ],
)
def test_what_is_plainly_right_is_found(method, target, call):
    assert found(method, target) == call


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/sessions?limit=3"),
        ("PUT", "/v1/sessions/train"),
        ("HEAD", "/v1/sessions/train"),
        ("OPTIONS", "/v1/sessions"),
        ("GET", "/v1/sessions/"),
        ("GET", "/v1//sessions"),
        ("GET", "v1/sessions"),
        ("GET", "/schema"),
        ("GET", "/v1/sessions/a b"),
        ("GET", "/v1/sessions/" + "a" * 65),
        ("GET", "/v1/sessions/.a"),
        ("DELETE", "/v1/sessions/s/attachments/1"),
        ("GET", "/v1/sessions/s/nothing"),
        ("GET", "/v1/sessions/s/logs/j/screen"),
    ],
)
def test_all_else_is_not_judged(method, target):
    assert found(method, target) is None


def test_a_strange_host_is_not_judged():
    assert found("GET", "/healthz", host=b"[::1]:80")
    assert found("GET", "/healthz", host=b"a b") is None
    assert found("GET", "/healthz", host=b"a\n") is None


def test_an_operation_with_an_unbounded_parameter_has_no_lane():
    @get("/x/{name:str}", sync_to_thread=False)
    def unbounded(name: Annotated[str, PathParameter(max_length=9)]) -> str:
        return name

    (route,) = (route for route in Litestar([unbounded], openapi_config=None).routes if route.path == "/x/{name:str}")
    assert [Lane.of(route, handler) for handler in route.route_handlers] == [None] * len(route.route_handlers)


def test_both_ways_give_the_same_answer(rest, monkeypatch):
    """Status, headers and body, of what succeeds and of what does not; but the request's id and the date."""
    asked = [
        ("GET", "/healthz", None, {}),
        ("GET", "/v1/sessions", None, {}),
        ("GET", "/v1/sessions/a", None, {}),
        ("GET", "/v1/sessions/nobody", None, {}),
        ("PATCH", "/v1/sessions/a", {"description": "same"}, {"Idempotency-Key": "k"}),
        ("PATCH", "/v1/sessions/a", {"description": "same"}, {}),
        ("PATCH", "/v1/sessions/a", {"description": "other"}, {"If-Match": '"99"'}),
        ("PATCH", "/v1/sessions/a", {"description": "other"}, {"If-Match": "x"}),
        ("PATCH", "/v1/sessions/a", {"alias": "taken"}, {}),
        ("PATCH", "/v1/sessions/a", {"nothing": 1}, {}),
        ("PATCH", "/v1/sessions/a", None, {}),
        ("GET", "/v1/sessions/a/events", None, {}),
        ("GET", "/v1/sessions/a/events", None, {"Accept": "text/event-stream", "Last-Event-ID": "x"}),
        ("GET", "/v1/sessions/a/jobs/true", None, {}),
        ("GET", "/v1/sessions/a/logs/true", None, {}),
        ("POST", "/v1/sessions/a/jobs/true/signal", {"signal": "NONE"}, {}),
        ("GET", "/v1/sessions/a/attachments", None, {}),
        ("DELETE", f"/v1/sessions/a/attachments/{ID}", None, {}),
    ]

    async def answers(http):
        told = []
        for method, target, body, headers in asked:
            answer = await http.ask(method, target, body, headers=headers)
            kept = {name: value for name, value in answer.headers.items() if name not in OF_ONE_REQUEST}
            told.append(
                (target, answer.status, kept, answer.body.replace(answer.headers["hawse-request"].encode(), b""))
            )
        return told

    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "taken"})
            await http.ask("POST", "/v1/sessions", {"alias": "a", "description": "same", "job": rest.JOB})
            while (await http.ask("GET", "/v1/sessions/a/jobs/true")).json["state"] != "running":
                pass
            await http.ask("PATCH", "/v1/sessions/a", {"description": "same"}, headers={"Idempotency-Key": "k"})
            short = await answers(http)
            monkeypatch.setattr(Lanes, "found", lambda *_: None)
            assert await answers(http) == short
            assert {status for _, status, _, _ in short} >= {200, 404, 409, 412, 422}

    rest.run(main())


def test_a_mistake_of_ours_is_told_by_its_request_alone(rest, monkeypatch):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            monkeypatch.setattr(stage.desk, "facts", None)
            answer = await http.ask("GET", "/v1/status")
            assert (answer.status, answer.json["code"]) == (500, "internal")
            assert answer.headers["hawse-request"] in answer.json["detail"]
            assert "NoneType" not in answer.body.decode()

    rest.run(main())
