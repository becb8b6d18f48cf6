"""The way to a coordinator and to the runners behind it: a Unix socket here, `ssh HOST hawse proxy`, or TLS.

The far proxy greets first; until then what comes is noise of the far shell's start-up files. A login may take as long
as somebody needs to type a password, so it has more time than the request that needed it.

Where a runner's socket cannot be reached by its path, the coordinator carries the stream: `link:PATH` (spec 11).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import h11

from hawse.client.link import LinkAbsent, LinkBroken, LinkLate
from hawse.client.link_async import Link, now, off_thread
from hawse.client.problems import problem_from
from hawse.domain.errors import Broken, Problem, Unavailable
from hawse.wire.proxy import ABSENT, READY

if TYPE_CHECKING:
    from hawse.client.find import Endpoint
    from hawse.client.tunnel import Tunnel

WAIT_S = 30.0
CARRIED = "link:"  # before the path, instead of a runner's socket
LOOK_S = 0.2  # between two looks at what else happens; a person does not notice it
READ_BYTES = 64 * 1024
ANSWER_BYTES_MAX = 4 * 1024 * 1024  # of a one-shot verb; an environment has at most 2 MiB


async def to_coordinator(endpoint: Endpoint, deadline: float) -> Link:
    """A new link, to a coordinator that is started first where that is wanted and needed.

    Raises LinkBroken; Unavailable, Denied, Broken, Invalid when it cannot work.
    """
    if endpoint.by_ssh:
        return await _through_ssh(endpoint, deadline)
    if endpoint.is_remote:
        tunnel = await off_thread(lambda: endpoint.tls(deadline))
        return Link(tunnel.socket, tunnel)
    if await off_thread(endpoint.prepare):
        deadline = max(deadline, now() + WAIT_S)
    try:
        link = await Link.connect(endpoint.path, deadline)
    except LinkAbsent:
        await off_thread(endpoint.start)
        link = await Link.connect(endpoint.path, max(deadline, now() + WAIT_S))
    try:
        endpoint.check_peer(link.socket)
    except BaseException:
        await link.aclose()
        raise
    return link


async def to_runner(endpoint: Endpoint, job: str, address: str, deadline: float) -> Link:
    """A new link to a job's runner. address: its socket or `link:PATH`, as the coordinator told it.

    Raises LinkAbsent: nobody listens there now; LinkBroken; and as to_coordinator.
    """
    if address.startswith(CARRIED):
        endpoint.leave_ahead()
        return await _carried(endpoint, address.removeprefix(CARRIED), deadline)
    ahead = endpoint.take_ahead()
    if ahead is not None:
        try:
            return await _went_ahead(endpoint, ahead, job, deadline)
        except LinkAbsent:
            raise
        except (LinkBroken, Problem):
            pass  # it was too early; whoever asks now is told what is wrong
    if endpoint.by_ssh:
        return await _through_ssh(endpoint, deadline, runner=job)
    return await Link.connect(address, deadline)


def shown(endpoint: Endpoint) -> dict[str, str]:
    """What says who asks, and for which project."""
    told = {"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else {}
    return told | ({"Hawse-Project": endpoint.project} if endpoint.project else {})


async def _carried(endpoint: Endpoint, path: str, deadline: float) -> Link:
    """A link to a runner that the coordinator carries. Raises LinkAbsent, LinkBroken; what the coordinator answers."""
    link = await to_coordinator(endpoint, deadline)
    try:
        http = h11.Connection(h11.CLIENT)
        asked = [("Host", endpoint.host), *shown(endpoint).items(), ("Connection", "Upgrade"), ("Upgrade", "hawse")]
        head = http.send(h11.Request(method="GET", target=path, headers=asked))
        await link.send((head or b"") + (http.send(h11.EndOfMessage()) or b""), deadline)
        await _switched(http, link, deadline)
    except BaseException:
        await link.aclose()
        raise
    return link


async def _switched(http: h11.Connection, link: Link, deadline: float) -> None:
    """Until the coordinator has switched. Raises as _carried."""
    status, said = 0, b""
    while True:
        try:
            event = http.next_event()
        except h11.RemoteProtocolError as error:
            raise LinkBroken(f"what listens there does not speak HTTP: {error}") from error
        if event is h11.NEED_DATA:
            data = await link.receive(READ_BYTES, deadline)
            if not data:
                raise LinkBroken("the coordinator closed the connection")
            http.receive_data(data)
        elif isinstance(event, h11.InformationalResponse):
            if event.status_code == 101:
                if http.trailing_data[0]:  # a runner that speaks first says that it is going
                    raise LinkAbsent("the job's runner is going")
                return
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            said = (said + bytes(event.data))[:ANSWER_BYTES_MAX]
        else:
            break
    raise _refused(status, said)


def _refused(status: int, said: bytes) -> Exception:
    try:
        problem = problem_from(status, json.loads(said))
    except ValueError:
        problem = Broken(f"the coordinator answered {status}, and no problem")
    if problem.facts.get("noun") == "runner":
        return LinkAbsent(problem.detail)
    return problem


async def answer_of(endpoint: Endpoint, verb: str) -> bytes:
    """What the far `hawse proxy --VERB` answers; only of an endpoint that is remote. Raises as to_coordinator."""
    deadline = now() + WAIT_S
    link = await _through_ssh(endpoint, deadline, verb=verb)
    try:
        parts = [link.tunnel.rest if link.tunnel is not None else b""]
        deadline = max(deadline, now() + WAIT_S)
        while data := await link.receive(READ_BYTES, deadline):
            parts.append(data)
            if sum(map(len, parts)) > ANSWER_BYTES_MAX:
                raise Broken(f"what {endpoint.name} answers has more than {ANSWER_BYTES_MAX} bytes")
        return b"".join(parts)
    except LinkBroken as error:
        raise Unavailable(f"the link to {endpoint.told} broke: {error}", next_step="hawse doctor") from error
    finally:
        await link.aclose()


async def _through_ssh(endpoint: Endpoint, deadline: float, *, runner: str = "", verb: str = "") -> Link:
    """A link through a new ssh; through another one when the master connection was dead and ssh found out by that."""
    try:
        return await _through(endpoint, endpoint.tunnel(runner=runner, verb=verb), deadline)
    except Unavailable as error:
        if not error.facts.get("is_master_lost"):
            raise
    return await _through(endpoint, endpoint.tunnel(runner=runner, verb=verb), deadline)


async def _through(endpoint: Endpoint, tunnel: Tunnel, deadline: float) -> Link:
    """The link through an ssh that was just started, once the far proxy has greeted."""
    link = Link(tunnel.socket, tunnel)
    await _greeted(endpoint, link, tunnel, max(deadline, now() + endpoint.patience_s))
    return link


async def _went_ahead(endpoint: Endpoint, tunnel: Tunnel, job: str, deadline: float) -> Link:
    """The link through a tunnel that was started before it was known where to."""
    link = await _through(endpoint, tunnel, deadline)
    try:
        await link.send(job.encode() + b"\n", deadline)
    except BaseException:
        await link.aclose()
        raise
    tunnel.expect_another()
    await _greeted(endpoint, link, tunnel, deadline)
    return link


async def _greeted(endpoint: Endpoint, link: Link, tunnel: Tunnel, deadline: float) -> None:
    """Until the far proxy has greeted; what it says instead is raised, and the link is closed."""
    try:
        while tunnel.greeting is None:
            try:
                data = await _heard(endpoint, link, tunnel, deadline)
            except LinkLate as error:
                raise Unavailable(f"{endpoint.name} did not answer in time", next_step="hawse doctor") from error
            except LinkBroken:
                data = b""
            if not data:
                raise await off_thread(tunnel.failure)
            tunnel.feed(data)
        greeting = tunnel.greeting
        if greeting.status == ABSENT:
            raise LinkAbsent(f"nobody listens there on {endpoint.name}")
        if greeting.status != READY:
            said = {"code": greeting.code, "detail": f"{endpoint.name}: {greeting.detail}", "next": greeting.next_step}
            raise problem_from(502, said)
    except BaseException:
        tunnel.kill()
        await link.aclose()
        raise


async def _heard(endpoint: Endpoint, link: Link, tunnel: Tunnel, deadline: float) -> bytes:
    """What comes next. Raises as Link.receive, and what endpoint.meanwhile raises."""
    while endpoint.meanwhile is not None and now() + LOOK_S < deadline:
        try:
            return await link.receive(READ_BYTES, now() + LOOK_S)
        except LinkLate:
            endpoint.meanwhile(tunnel)
    return await link.receive(READ_BYTES, deadline)
