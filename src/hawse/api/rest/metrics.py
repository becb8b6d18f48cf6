"""`/metrics`: how much there is and how it goes, in Prometheus' text format.

Theory of operation. Nothing of the format is known where things happen: there are plain numbers (ports/meter.py), and
the store counts its rows when it is asked. The library that writes the format is imported by the first scrape, in a
thread, so that who never scrapes pays neither its 20 ms nor its megabyte.

Names and units by prometheus.io/docs/practices/naming: base units, `_total` for what only rises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from litestar import Response, get

from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.api.rest.desk import Desk
from hawse.api.rest.response import Answer
from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.attachment import Mode
from hawse.ports.meter import Histogram
from hawse.ports.store import Census

if TYPE_CHECKING:
    from prometheus_client import Metric

MEDIA_TYPE = "text/plain"
_CLASSES = {1: "1xx", 2: "2xx", 3: "3xx", 4: "4xx", 5: "5xx"}


@get("/metrics", operation_id="get_metrics", tags=["service"], media_type=MEDIA_TYPE)
async def metrics(request: AnyRequest) -> Response[str]:
    """Numbers for Prometheus: the text format, or OpenMetrics where `Accept` asks for it.

    Counts of sessions, jobs and attachments are the store's; what begins with 0 at each start is this process's.
    """
    desk = visit_of(request).desk
    await asyncio.to_thread(import_module, "prometheus_client")
    now = desk.world.clock.now()
    census = await desk.world.store.read(lambda view: view.census(now))
    media_type, body = written(families(desk, census, now), request.headers.get("accept", ""))
    return Answer(body, 200, [(b"content-type", media_type.encode())])


def written(found: Iterable[Metric], accept: str) -> tuple[str, bytes]:
    """The families in the format that is asked for: its media type, and the text."""
    from prometheus_client.exposition import choose_encoder
    from prometheus_client.registry import Collector, CollectorRegistry

    class Found(Collector):
        def collect(self) -> Iterable[Metric]:
            return found

        def describe(self) -> Iterable[Metric]:
            return ()  # so that registering it does not collect

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Found())
    encode, media_type = choose_encoder(accept)
    return media_type, encode(registry)


def families(desk: Desk, census: Census, now: float) -> Iterator[Metric]:
    """All families with their samples."""
    from prometheus_client import ProcessCollector

    yield from _things(desk, census, now)
    yield from _store(desk)
    yield from _effects(desk, census, now)
    yield from _service(desk)
    yield from ProcessCollector(registry=None).collect()


def _things(desk: Desk, census: Census, now: float) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

    facts = {name: str(desk.facts[name]) for name in ("version", "store", "engine")}
    yield InfoMetricFamily("hawse", "What runs here.", facts)
    of_state = GaugeMetricFamily("hawse_sessions", "Sessions that are kept.", labels=["state"])
    for state in sessions.S:
        of_state.add_metric([state], census.sessions.get(state, 0))
    yield of_state
    of_state = GaugeMetricFamily("hawse_jobs", "Jobs of sessions that are kept.", labels=["state"])
    for job_state in jobs.S:
        of_state.add_metric([job_state], census.jobs.get(job_state, 0))
    yield of_state
    attached = GaugeMetricFamily(
        "hawse_attachments", "Attachments, those without a link too.", labels=["mode", "state"]
    )
    for mode in Mode:
        for living in sorted(attachments.LIVING):
            attached.add_metric([mode, living], census.attachments.get((mode, living), 0))
    yield attached
    leases = GaugeMetricFamily("hawse_leases", "Living sessions that end at a time.", labels=["project"])
    left = GaugeMetricFamily(
        "hawse_lease_seconds_left", "Until the next of them ends; negative: it should have.", labels=["project"]
    )
    for project, (count, until) in census.leases.items():
        leases.add_metric([project], count)
        left.add_metric([project], until - now)
    yield leases
    yield left


def _store(desk: Desk) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    meter = desk.world.store.meter
    yield CounterMetricFamily("hawse_events", "Events that this process wrote.", meter.events)
    for name, told, histogram in (
        ("hawse_store_commit_seconds", "Commits that succeeded, from the first unit to the disk.", meter.commit_s),
        ("hawse_store_read_seconds", "Reads, as their callers waited.", meter.read_s),
    ):
        family = HistogramMetricFamily(name, told)
        family.add_metric([], buckets(histogram), histogram.total)
        yield family
    yield CounterMetricFamily("hawse_store_refused_commits", "Commits that failed as a whole.", meter.refused)
    yield GaugeMetricFamily("hawse_store_refuses", "1 when the last commit was refused.", int(bool(meter.trouble)))


def _effects(desk: Desk, census: Census, now: float) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

    yield GaugeMetricFamily("hawse_effects_stored", "Effects that are still to be done, now or later.", census.waiting)
    due = GaugeMetricFamily("hawse_effects_due", "Effects that should have been done by now.", labels=["effect"])
    late = GaugeMetricFamily(
        "hawse_effects_oldest_due_seconds", "For how long the oldest of them has been due.", labels=["effect"]
    )
    for kind, (count, at) in census.due.items():
        due.add_metric([kind], count)
        late.add_metric([kind], max(0.0, now - at))
    yield due
    yield late
    lag = HistogramMetricFamily(
        "hawse_effect_lag_seconds", "From when an effect was due until it was done.", labels=["effect"]
    )
    put_off = CounterMetricFamily("hawse_effect_failures", "Tries that failed and were put off.", labels=["effect"])
    for kind, meter in sorted(desk.world.effects.items()):
        lag.add_metric([kind], buckets(meter.lag_s), meter.lag_s.total)
        put_off.add_metric([kind], meter.put_off)
    yield lag
    yield put_off


def _service(desk: Desk) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    yield GaugeMetricFamily("hawse_connections", "Open connections.", desk.connections)
    yield GaugeMetricFamily(
        "hawse_event_followers", "Connections that follow a session's events.", desk.feeds.followers
    )
    answers = CounterMetricFamily("hawse_requests", "Requests that were answered, by status.", labels=["status"])
    for hundreds, name in _CLASSES.items():
        answers.add_metric([name], desk.answers[hundreds])
    yield answers
    unanswered = CounterMetricFamily("hawse_requests_unanswered", "Requests whose client had gone.", desk.answers[0])
    yield unanswered


def buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """As Prometheus wants them: how many values are at most each bound."""
    found, below = [], 0
    for bound, count in zip((*histogram.bounds, float("inf")), histogram.counts, strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), float(below)))
    return found


HANDLERS = [metrics]
