"""TLS listeners and links through the coordinator, on the real loop: api/rest/{threshold,listener,link,relay}.py."""

import asyncio
import datetime
import os
import socket
import ssl
from contextlib import asynccontextmanager

import pytest

from hawse.cli.ca.authority import Authority
from hawse.services.world import Site

LINK = {"Connection": "Upgrade", "Upgrade": "hawse"}
SITE = Site(local_accounts=True, admins=frozenset({os.getuid()}))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ca")
    made = Authority(str(folder))
    now = datetime.datetime.now(datetime.UTC)
    made.init("test", days=2, now=now)
    made.issue(["localhost", "127.0.0.1"], str(folder), days=1, now=now)
    return folder


@pytest.fixture
def server_context(authority):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(authority / "localhost.pem", authority / "localhost.key")
    return made


@pytest.fixture
def client_context(authority):
    return ssl.create_default_context(cafile=authority / "ca.pem")


def listening():
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", 0))
    return bound, bound.getsockname()[1]


@asynccontextmanager
async def tls_link(rest, port, context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname="localhost")
    try:
        yield rest.Link(reader, writer)
    finally:
        writer.close()


class Runner:
    """A Unix socket in the place of a job's runner."""

    def __init__(self, path):
        self.path = path
        self.links = []
        self.come = asyncio.Queue()

    async def __aenter__(self):
        self.server = await asyncio.start_unix_server(self.serve, self.path, limit=1 << 24)
        return self

    async def serve(self, reader, writer):
        self.links.append(writer)
        await self.come.put((reader, writer))

    async def __aexit__(self, *_):
        for writer in self.links:
            writer.close()
        self.server.close()


@asynccontextmanager
async def with_runner(rest, stage):
    """A session with a job, and somebody who listens as its runner."""
    body = {"alias": "demo", "job": rest.JOB}
    session = (await rest.ask(stage.path, "POST", "/v1/sessions", body)).json
    job = session["jobs"][0]
    path = f"{stage.path}.runner"
    stage.launcher.address = lambda _: path
    async with Runner(path) as runner:
        yield f"/v1/sessions/demo/jobs/{job['name']}/link", runner


async def bearer(rest, stage):
    """The header that says that one is ada, who is this account."""
    await rest.ask(stage.path, "POST", "/v1/users", {"name": "ada", "uids": [os.getuid()]})
    made = await rest.ask(stage.path, "POST", "/v1/tokens", {"name": "t", "user": "ada"})
    return {"Authorization": f"Bearer {made.json['secret']}"}


async def switched(link, path, **more):
    await link.send("GET", path, b"", {**LINK, **more})
    status, headers = await link.head()
    assert status == 101, (status, await link.reader.read(500))
    assert headers["upgrade"] == "hawse"


@pytest.mark.requirement("S0.1")
def test_rest_is_served_over_tls(rest, server_context, client_context):
    async def main():
        async with rest.stage(site=SITE) as stage:
            bound, port = listening()
            stage.listener.start_tls(bound, server_context)
            shown = await bearer(rest, stage)
            async with tls_link(rest, port, client_context) as http:
                for _ in range(3):
                    assert (await http.ask("GET", "/healthz")).json == {"status": "ok"}
                assert (await http.ask("GET", "/v1/sessions")).status == 401
                assert (await http.ask("GET", "/v1/sessions", headers=shown)).status == 200
                assert (await http.ask("GET", "/v1/nothing", headers=shown)).status == 404

    rest.run(main())


def test_tls_1_1_and_plain_http_are_refused_and_do_no_harm(rest, server_context, client_context):
    async def main():
        async with rest.stage() as stage:
            bound, port = listening()
            stage.listener.start_tls(bound, server_context)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"HTTP" not in await reader.read()
            writer.close()
            async with tls_link(rest, port, client_context) as http:
                assert (await http.ask("GET", "/healthz")).status == 200

    rest.run(main())


def test_silent_connections_make_room(rest, server_context, client_context):
    """Who never shakes hands is cut when others come: the oldest first."""

    async def main():
        async with rest.stage(connections_max=80) as stage:
            bound, port = listening()
            stage.listener.start_tls(bound, server_context)
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
            assert await silent[0][0].read() == b""
            async with tls_link(rest, port, client_context) as http:
                assert (await http.ask("GET", "/healthz")).status == 200
            for _, writer in silent:
                writer.close()

    rest.run(main())


def test_a_handshake_that_does_not_end_is_ended(rest, server_context, monkeypatch):
    monkeypatch.setattr("hawse.api.rest.threshold.SILENT_S", 0.2)

    async def main():
        async with rest.stage() as stage:
            bound, port = listening()
            stage.listener.start_tls(bound, server_context)
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(10):
                assert await reader.read() == b""
            writer.close()

    rest.run(main())


@pytest.mark.parametrize("tls", [False, True], ids=["unix", "tls"])
def test_a_link_carries_bytes_both_ways(rest, server_context, client_context, tls):
    async def main():
        async with rest.stage(site=SITE) as stage:
            shown = await bearer(rest, stage)
            async with with_runner(rest, stage) as (path, runner):
                await carried(stage, shown, path, runner)

    async def carried(stage, shown, path, runner):
        bound, port = listening()
        stage.listener.start_tls(bound, server_context)
        opened = tls_link(rest, port, client_context) if tls else rest.link(stage.path)
        async with opened as link:
            await switched(link, path, **shown)
            reader, writer = await runner.come.get()
            link.writer.write(b"hello" * 1000)
            assert await reader.readexactly(5000) == b"hello" * 1000
            data = os.urandom(3_000_000)
            writer.write(data)
            assert await link.reader.readexactly(len(data)) == data
            writer.write(b"bye")
            writer.close()  # the runner's end: its last words come, then the end
            assert await link.reader.read() == b"bye"
        await rest.until(lambda: stage.desk.links == 0)
        line = next(line for line in stage.lines if line["kind"] == "link")
        assert (line["up"], line["down"]) == (5000, 3_000_003)
        codes = [line["status"] for line in stage.lines if line.get("path") == path]
        assert codes == [101]

    rest.run(main())


def test_the_client_s_end_is_the_runner_s(rest):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, runner):
            async with rest.link(stage.path) as link:
                await switched(link, path)
                reader, _writer = await runner.come.get()
                link.writer.write(b"last words")
            assert await reader.read() == b"last words"

    rest.run(main())


@pytest.mark.parametrize("who", ["client", "runner"])
def test_who_does_not_read_makes_the_other_wait(rest, who):
    """Nothing grows in the coordinator: what was written and not taken stays with the writer."""

    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, runner):
            async with rest.link(stage.path) as link:
                await switched(link, path)
                reader, writer = await runner.come.get()
                source, target = (writer, link.reader) if who == "client" else (link.writer, reader)
                target._transport.pause_reading()
                sent, piece = 0, b"x" * 65536
                while True:
                    source.write(piece)
                    sent += len(piece)
                    try:
                        async with asyncio.timeout(0.5):
                            await source.drain()
                    except TimeoutError:
                        break
                    assert sent < 16 * 1024 * 1024, "the coordinator takes everything"
                target._transport.resume_reading()
                got = 0
                while got < sent:
                    got += len(await target.read(1 << 20))

    rest.run(main())


@pytest.mark.parametrize(
    ("headers", "status"),
    [({}, 422), ({"Upgrade": "hawse"}, 422), ({"Connection": "Upgrade", "Upgrade": "websocket"}, 422)],
)
def test_a_link_is_asked_for_by_its_name(rest, headers, status):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, _):
            answer = await rest.ask(stage.path, "GET", path, headers=headers)
            assert answer.status == status
            assert answer.json["next"] == "ask with Connection: Upgrade and Upgrade: hawse"

    rest.run(main())


def test_what_is_no_runner_is_not_linked_to(rest):
    """Nobody there: 404 for runners. Somebody of another uid: not one byte is given to him."""

    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, _):
            stage.launcher.listener_uid = lambda _: os.getuid() + 1
            answer = await rest.ask(stage.path, "GET", path, headers=LINK)
            assert (answer.status, answer.json["code"]) == (502, "broken")
            stage.launcher.address = lambda _: f"{stage.path}.nobody"
            answer = await rest.ask(stage.path, "GET", path, headers=LINK)
            assert (answer.status, answer.json["noun"]) == (404, "runner")
            assert stage.desk.links == 0

    rest.run(main())


def test_too_many_links_are_refused(rest):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, _):
            stage.desk.links_max = 1
            async with rest.link(stage.path) as link:
                await switched(link, path)
                answer = await rest.ask(stage.path, "GET", path, headers=LINK)
                assert (answer.status, answer.json["code"]) == (429, "limit_reached")

    rest.run(main())


@pytest.mark.requirement("S7.2")
def test_a_stranger_gets_no_link(rest):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, runner):
            os.chmod(os.path.dirname(stage.path), 0o755)
            os.chmod(stage.path, 0o666)
            async with rest.link(stage.path, uid=65534) as link:
                answer = await link.ask("GET", path, headers=LINK)
                assert answer.status == 403
            assert runner.come.empty()

    rest.run(main())


def test_when_the_coordinator_stops_links_end(rest):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage) as (path, runner):
            async with rest.link(stage.path) as link:
                await switched(link, path)
                await runner.come.get()
                await stage.listener.aclose()
                assert await link.reader.read() == b""

    rest.run(main())


def test_an_admission_over_tls_names_a_link(rest, server_context, client_context):
    async def main():
        async with rest.stage() as stage, with_runner(rest, stage):
            direct = await rest.ask(stage.path, "POST", "/v1/sessions/demo/attachments", {})
            assert direct.json["address"] == f"{stage.path}.runner"
            stage.desk.is_shared = True
            shared = await rest.ask(stage.path, "POST", "/v1/sessions/demo/attachments", {})
            assert shared.json["address"].startswith("link:/v1/sessions/")

    rest.run(main())
