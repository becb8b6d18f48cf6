"""Whatever is sent: an answer or a closed connection, never a mistake of ours, and nobody else notices."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from(
    ["alias", "description", "labels", "lease", "job", "argv", "env", "cwd", "tty", "signal", "mode", "where"]
)
BODIES = st.binary(max_size=300) | st.builds(
    lambda fields: json.dumps(fields).encode(), st.dictionaries(NAMES | st.text(max_size=8), JSON, max_size=5)
)
SEGMENT = st.sampled_from(
    ["v1", "sessions", "a", "jobs", "b", "signal", "attachments", "events", "logs", "schema", "%00", "..", ""]
)
TARGETS = st.builds(
    lambda parts, query: "/" + "/".join(parts) + (f"?{query}" if query else ""),
    st.lists(SEGMENT, max_size=6),
    st.sampled_from(
        ["", "limit=1", "from=%ff", "wait_s=1e-9", "tail=0", "after=\x7f", "&&==", "since=1e400", "state=all", "%"]
    ),
)
METHODS = st.sampled_from(["GET", "POST", "PATCH", "DELETE", "PUT", "OPTIONS", "HEAD", "TRACE"])
KNOWN = {200, 201, 202, 204, 400, 404, 405, 409, 410, 412, 413, 415, 422, 429, 503}


@settings(max_examples=25)
@given(st.lists(st.tuples(METHODS, TARGETS, BODIES), min_size=1, max_size=20))
def test_any_request_gets_an_answer_that_is_no_mistake_of_ours(rest, requests):
    async def main():
        async with rest.stage() as stage:
            await rest.ask(stage.path, "POST", "/v1/sessions", {"alias": "a", "job": rest.JOB | {"name": "b"}})
            for method, target, body in requests:
                if method == "HEAD":
                    continue
                answer = await rest.ask(stage.path, method, target, raw=body)
                assert answer.status in KNOWN, (method, target, body, answer)
                if answer.status >= 400:
                    assert answer.headers["content-type"] == "application/problem+json"
                    assert answer.json["status"] == answer.status
            assert (await rest.ask(stage.path, "GET", "/healthz")).status == 200

    rest.run(main())


@settings(max_examples=40)
@given(
    st.lists(
        st.binary(max_size=80) | st.sampled_from([b"GET / HTTP/1.1\r\n", b"\r\n", b"Content-Length: 3\r\n\r\n"]),
        max_size=8,
    )
)
def test_any_bytes_do_no_harm(rest, parts):
    async def main():
        async with rest.stage() as stage:
            reader, writer = await asyncio.open_unix_connection(stage.path)
            for part in parts:
                writer.write(part)
                await asyncio.sleep(0)
            writer.write_eof()
            async with asyncio.timeout(20):
                data = await reader.read()
            assert data == b"" or data.startswith(b"HTTP/1.1 ")
            writer.close()
            assert not [line for line in stage.lines if line["status"] == 500]
            assert (await rest.ask(stage.path, "GET", "/healthz")).status == 200

    rest.run(main())


def test_a_request_may_come_in_any_parts(rest):
    body = b'{"alias": "a", "labels": {"k": "v"}}'
    whole = b"POST /v1/sessions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    async def main():
        async with rest.stage() as stage:
            for cut in range(1, len(whole)):
                async with rest.link(stage.path) as http:
                    http.writer.write(whole[:cut])
                    await asyncio.sleep(0)
                    await asyncio.sleep(0)
                    http.writer.write(whole[cut:])
                    answer = await http.answer()
                    assert answer.status == (201 if cut == 1 else 409)

    rest.run(main())
