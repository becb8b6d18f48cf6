"""`/metrics`: what Prometheus' own parser reads from it, and that the numbers are true."""

import asyncio
from dataclasses import replace

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as parsed

from hawse.domain.errors import Unavailable
from hawse.domain.session import Lease

FAMILIES = {
    "hawse_info": "gauge", "hawse_sessions": "gauge", "hawse_jobs": "gauge", "hawse_attachments": "gauge",
    "hawse_leases": "gauge", "hawse_lease_seconds_left": "gauge", "hawse_events": "counter",
    "hawse_store_commit_seconds": "histogram", "hawse_store_read_seconds": "histogram",
    "hawse_store_refused_commits": "counter", "hawse_store_refuses": "gauge", "hawse_effects_stored": "gauge",
    "hawse_effects_due": "gauge", "hawse_effects_oldest_due_seconds": "gauge", "hawse_effect_lag_seconds": "histogram",
    "hawse_effect_failures": "counter", "hawse_connections": "gauge", "hawse_event_followers": "gauge",
    "hawse_requests": "counter", "hawse_requests_unanswered": "counter",
    "process_cpu_seconds": "counter", "process_resident_memory_bytes": "gauge", "process_open_fds": "gauge",
}  # fmt: skip


class Read:
    """One scrape: samples by name and labels."""

    def __init__(self, text):
        self.families = {family.name: family for family in parsed(text)}
        self._samples = {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in self.families.values()
            for sample in family.samples
        }

    def __call__(self, name, **labels):
        return self._samples[name, tuple(sorted(labels.items()))]

    def get(self, name, default=None, **labels):
        return self._samples.get((name, tuple(sorted(labels.items()))), default)


async def scrape(http):
    answer = await http.ask("GET", "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return Read(answer.body.decode())


def test_every_family_is_there_with_its_type_and_its_words(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            found = await scrape(http)
            for name, kind in FAMILIES.items():
                assert found.families[name].type == kind, name
                assert found.families[name].documentation
            assert found("hawse_info", version="0", store="sqlite", engine="python") == 1
            for histogram in ("hawse_store_commit_seconds", "hawse_store_read_seconds"):
                samples = [s for s in found.families[histogram].samples if s.name.endswith("_bucket")]
                assert samples[-1].labels["le"] == "+Inf"
                assert [s.value for s in samples] == sorted(s.value for s in samples)
                assert samples[-1].value == found(f"{histogram}_count")
            accepts = {"Accept": "application/openmetrics-text; version=1.0.0"}
            answer = await http.ask("GET", "/metrics", headers=accepts)
            assert answer.headers["content-type"].startswith("application/openmetrics-text")
            assert {family.name for family in openmetrics(answer.body.decode())} >= set(FAMILIES) - {"hawse_info"}

    rest.run(main())


@pytest.mark.requirement("S0.3")
def test_counts_rise_as_they_should(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            first = await scrape(http)
            assert first("hawse_sessions", state="active") == 0
            assert first("hawse_events_total") == 0
            made = await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
            job = made.json["jobs"][0]["id"]
            await rest.until(lambda: job in stage.launcher.running)
            await http.ask("GET", f"/v1/sessions/a/jobs/{job}?wait_s=10&until=started")
            await http.ask("POST", "/v1/sessions/a/attachments", {"job": job, "mode": "watch"})
            await http.ask("GET", "/v1/sessions/nope")
            found = await scrape(http)
            last_seq = (await http.ask("GET", "/v1/sessions/a")).json["last_seq"]
            assert found("hawse_events_total") == last_seq
            assert found("hawse_sessions", state="active") == 1
            assert found("hawse_jobs", state="running") == 1
            assert sum(s.value for s in found.families["hawse_attachments"].samples) == 1
            assert found("hawse_requests_total", status="2xx") - first("hawse_requests_total", status="2xx") == 4
            assert found("hawse_requests_total", status="4xx") == 1
            assert found("hawse_effect_lag_seconds_count", effect="start_job") == 1
            assert found("hawse_effect_failures_total", effect="start_job") == 0
            assert found("hawse_store_commit_seconds_count") >= 3
            assert found("hawse_connections") == 1
            await http.ask("DELETE", "/v1/sessions/a")
            await rest.until(lambda: job not in stage.launcher.running)
            async with asyncio.timeout(20):
                while (await scrape(http))("hawse_sessions", state="ended") != 1:
                    pass
            assert (await scrape(http))("hawse_jobs", state="ended") == 1

    rest.run(main())


def test_followers_and_connections_come_and_go(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            await http.ask("POST", "/v1/sessions", {"alias": "a"})
            async with rest.link(stage.path) as feed:
                await feed.send("GET", "/v1/sessions/a/events", b"", {"Accept": "text/event-stream"})
                await feed.head()
                await feed.chunk()
                found = await scrape(http)
                assert (found("hawse_event_followers"), found("hawse_connections")) == (1, 2)
            await rest.until(lambda: stage.desk.connections == 1)
            await rest.until(lambda: stage.desk.feeds.followers == 0)
            assert (await scrape(http))("hawse_event_followers") == 0

    rest.run(main())


def test_leases_tell_what_is_left_by_project(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:
            ids = [(await http.ask("POST", "/v1/sessions", {"alias": name})).json["id"] for name in "abc"]
            now = stage.world.clock.now()

            def leased(unit):
                for id, left in zip(ids[:2], (100.0, 5000.0), strict=True):
                    before = unit.session(id)
                    after = replace(before, lease=Lease.UNTIL, lease_until=now + left)
                    unit.change(before, after, kind="session.changed", by="x")

            await stage.world.store.write(leased)
            found = await scrape(http)
            assert found("hawse_leases", project="default") == 2
            assert 60 < found("hawse_lease_seconds_left", project="default") <= 100

    rest.run(main())


def test_an_effect_that_fails_is_seen(rest):
    async def main():
        async with rest.stage() as stage, rest.link(stage.path) as http:

            async def refuses(start):
                raise Unavailable("no parent")

            stage.launcher.start = refuses
            await http.ask("POST", "/v1/sessions", {"alias": "a", "job": rest.JOB})
            async with asyncio.timeout(20):
                while (await scrape(http)).get("hawse_effect_failures_total", 0, effect="start_job") < 2:
                    pass
            found = await scrape(http)
            assert found("hawse_effects_stored") == 1
            assert found.get("hawse_effect_lag_seconds_count", 0, effect="start_job") == 0

    rest.run(main())
