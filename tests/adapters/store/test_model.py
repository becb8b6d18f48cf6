"""Any series of units leaves a store as it leaves the memory store, which is the model."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from hawse.adapters.store.sqlite import SqliteStore
from hawse.domain import attachment as attachments
from hawse.domain import job as jobs
from hawse.domain import session as sessions
from hawse.domain.effect import ForgetRunner, StartJob
from hawse.domain.errors import Problem
from hawse.ports.store import Answer
from hawse.testing.check_store import check_replay
from hawse.testing.memory_store import MemoryStore
from hawse.testing.store_checks.kit import ended, new_attachment, new_job, new_order, new_session

ALIASES = st.sampled_from([None, "a", "b"])
TEXTS = st.text(max_size=20)
# Small and large numbers; JSON-able values that a session's policies may hold.
NUMBERS = st.integers(0, 2**62)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)


class FixedClock:
    """The same time for both."""

    def __init__(self):
        self.time = 1000.0

    def now(self):
        return self.time


class Comparison(RuleBasedStateMachine):
    """Each rule runs one unit on the store and on the model; results or errors must be the same."""

    objects = Bundle("objects")

    async def make_store(self, clock):
        raise NotImplementedError

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FixedClock()

    @initialize()
    def begin(self):
        self.model = MemoryStore(self.clock)
        self.store = self.loop.run_until_complete(self.make_store(self.clock))
        self.ids = []

    def teardown(self):
        try:
            if hasattr(self, "store"):
                self.loop.run_until_complete(check_replay(self.store))
                self.loop.run_until_complete(self.store.aclose())
        finally:
            self.loop.close()
            self.folder.cleanup()

    async def outcome(self, store, verb, read=False):
        try:
            return await (store.read if read else store.write)(verb)
        except Problem as problem:
            return type(problem)

    def both(self, verb, read=False):
        self.clock.time += 1.0

        async def run():
            return await self.outcome(self.store, verb, read), await self.outcome(self.model, verb, read)

        found, expected = self.loop.run_until_complete(run())
        assert found == expected
        return found

    # -- rules ------------------------------------------------------------------------------------------------------

    @rule(target=objects, alias=ALIASES, text=TEXTS, policies=st.dictionaries(TEXTS, VALUES, max_size=2))
    def create_session(self, alias, text, policies):
        session = replace(new_session(alias, policies=policies), description=text)  # the domain would refuse some
        self.both(lambda unit: unit.change(None, session, kind="created", by="x", request=text))
        self.ids.append(session.id)
        return session

    @rule(target=objects, owner=objects, name=st.sampled_from(["a", "b"]))
    def create_job(self, owner, name):
        if not isinstance(owner, sessions.Session):
            return owner
        job = new_job(owner, name)

        def verb(unit):
            kept = unit.change(None, job, kind="created", by="x", effects=(StartJob(job.id, 1),))
            unit.keep_order(job.id, new_order())
            return kept

        self.both(verb)
        return job

    @rule(target=objects, owner=objects)
    def create_attachment(self, owner):
        if not isinstance(owner, jobs.Job):
            return owner
        attachment = new_attachment(owner)
        self.both(lambda unit: unit.change(None, attachment, kind="created", by="x"))
        return attachment

    def present(self, unit, row):
        if isinstance(row, sessions.Session):
            return unit.session(row.id)
        return unit.job(row.id) if isinstance(row, jobs.Job) else unit.attachment(row.id)

    @rule(row=objects, text=TEXTS, number=NUMBERS, alias=ALIASES, stale=st.integers(0, 1))
    def change(self, row, text, number, alias, stale):
        def verb(unit):
            before = self.present(unit, row)
            before = replace(before, version=before.version - stale)
            if isinstance(before, sessions.Session):
                after = replace(before, description=text, alias=alias, end_reason=text)
            elif isinstance(before, jobs.Job):
                outcome = jobs.Outcome(jobs.OutcomeKind.FAILED, cause=text) if number % 2 else None
                after = replace(before, log_end=number, stop_reason=text, outcome=outcome)
            else:
                after = replace(before, cursor=number, where=text)
            return unit.change(before, after, kind="changed", by=text, effects=(ForgetRunner("j", 1),) * (number % 3))

        self.both(verb)

    @rule(row=objects)
    def end(self, row):
        def verb(unit):
            before = self.present(unit, row)
            if isinstance(before, sessions.Session) and before.state in sessions.LIVING:
                after = replace(ended(before), ended_at=self.clock.time)
                return unit.change(before, after, kind="ended", by="x")
            return None

        self.both(verb)

    @rule(row=objects)
    def remove(self, row):
        def verb(unit):
            if isinstance(row, sessions.Session):
                return unit.remove_session(row.id)
            before = self.present(unit, row)
            if isinstance(before, jobs.Job) and unit.attachments(before.session, living=False):
                return None
            return unit.change(before, None, kind="removed", by="x")

        self.both(verb)

    @rule(row=objects, name=st.sampled_from(["r1", "r2"]), good=st.booleans())
    def several_in_one_unit(self, row, name, good):
        def verb(unit):
            for pending in unit.effects_due(float("inf"), 2):
                unit.effect_done(pending.id)
            unit.keep_answer(Answer("me", name, "d", 200, b"\x00", self.clock.time))
            before = self.present(unit, row)
            field = "description" if isinstance(before, sessions.Session) else "version"
            after = replace(before, epoch=before.epoch + 1) if field == "description" else before
            unit.change(before, after, kind="changed", by="x")
            if not good:
                raise Problem("rolled back")

        self.both(verb)

    @rule(seconds=st.integers(0, 50))
    def put_off_and_forget(self, seconds):
        def verb(unit):
            for pending in unit.effects_due(self.clock.time, 1):
                unit.effect_failed(pending.id, due_at=self.clock.time + seconds)
            return unit.drop_answers_before(self.clock.time - seconds)

        self.both(verb)

    @invariant()
    def everything_is_the_same(self):
        if not hasattr(self, "store"):
            return

        def query(view):
            found = [view.sessions(limit=1000), view.living_jobs(), view.effects_due(1e9, 1000)]
            found += [view.stale_attachments(100), view.next_effect_at(self.clock.time), view.answer("me", "r1")]
            found += [view.session_ids_ended_before(1e12, 100), view.jobs_of(self.ids), view.attachments_of(self.ids)]
            for session in view.sessions(limit=1000):
                found += [view.events(session.id), view.last_seq(session.id), view.attachments(session.id)]
                found += [view.order(job.id) for job in view.jobs(session.id)]
            return found

        self.both(query, read=True)
        assert attachments.FINAL


class SqliteComparison(Comparison):
    """SQLite against the model."""

    async def make_store(self, clock):
        return await SqliteStore.open(Path(self.folder.name) / "hawse.db", clock)


SqliteComparison.TestCase.settings = settings(
    max_examples=30, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestSqlite = SqliteComparison.TestCase


@pytest.mark.requirement("S3.3")
def test_postgres_against_the_model(postgres):
    """The same machine, each example in a database of its own."""
    from hypothesis.stateful import run_state_machine_as_test

    from hawse.adapters.store.postgres import PostgresStore

    class PostgresComparison(Comparison):
        async def make_store(self, clock):
            self.name = postgres.new_database()
            return await PostgresStore.open(postgres.conninfo(self.name), clock)

        def teardown(self):
            super().teardown()
            if hasattr(self, "name"):
                postgres.drop_database(self.name)

    run_state_machine_as_test(
        PostgresComparison,
        settings=settings(
            max_examples=8, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
