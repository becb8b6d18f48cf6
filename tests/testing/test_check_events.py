"""The check can fail: a state that its events do not tell, a gap, a missing end, through the file and through REST."""

import asyncio
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hawse.adapters.clock import SystemClock
from hawse.adapters.store.fields import fields_of
from hawse.adapters.store.sqlite import SqliteStore
from hawse.domain import session as sessions
from hawse.domain.ids import RANDOM_BYTES, SessionId, uuid7
from hawse.ports.store import Unit, View
from hawse.testing.check_events import check_events, check_file, check_session


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A store with one session that was described twice."""
    path, clock = tmp_path / "hawse.db", SystemClock()
    id = SessionId(uuid7(clock.now(), clock.random(RANDOM_BYTES)))
    new = sessions.created(id=id, project="default", alias="a", owner="uid:1", now=1.0)

    def verb(unit: Unit) -> None:
        kept = unit.change(None, new, kind="session.created", by="uid:1")
        for text in ("one", "two"):
            kept = unit.change(kept, replace(kept, description=text), kind="session.described", by="uid:1")

    async def main() -> None:
        store = await SqliteStore.open(path, clock)
        await store.write(verb)
        await store.aclose()

    asyncio.run(main())
    return path


def damaged(path: Path, statement: str) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement).rowcount == 1
    connection.close()


WRONG = [
    ("UPDATE sessions SET description = 'three'", "is not what its events say"),
    ("DELETE FROM events WHERE seq = 2", "do not follow each other|missing"),
    ("DELETE FROM events WHERE seq = 3", "missing|is not what its events say"),
    ("UPDATE events SET after = json_replace(after, '$.description', 'no') WHERE seq = 2", "do not follow each other"),
]


def test_what_fits_passes(database):
    assert check_file(database) == 1
    assert check_file(database.with_name("none.db")) == 0


@pytest.mark.parametrize(("statement", "said"), WRONG)
def test_what_does_not_fit_is_told(database, statement, said):
    damaged(database, statement)
    with pytest.raises(AssertionError, match=said):
        check_file(database)


def test_a_file_that_cannot_be_read_is_not_checked(database):
    database.write_bytes(b"no database")
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    assert check_file(database) == 0


def rest(path: Path) -> Callable[[str], Any]:
    """GET answers as the REST interface gives them, from the file."""

    def ask(target: str) -> Any:
        def query(view: View) -> Any:
            all_of_them = view.sessions()
            if target.startswith("/v1/sessions?"):
                return {"items": [{"id": one.id} for one in all_of_them], "next": None}
            session = next(one for one in all_of_them if one.id in target)
            if "/events?" in target:
                first = int(re.search(r"from=(\d+)", target)[1])
                events = view.events(session.id, after=first - 1)
                return {"items": [{name: getattr(event, name) for name in event.__slots__} for event in events]}
            return {
                **fields_of(session), "version": 1, "jobs": [], "attachments": [], "last_seq": view.last_seq(session.id)
            }  # fmt: skip

        async def main() -> Any:
            store = await SqliteStore.open(path, SystemClock())
            try:
                return await store.read(query)
            finally:
                await store.aclose()

        return json.loads(json.dumps(asyncio.run(main())))

    return ask


def test_through_rest(database):
    assert check_events(rest(database)) == 1


@pytest.mark.parametrize(("statement", "said"), WRONG)
def test_through_rest_it_is_told(database, statement, said):
    damaged(database, statement)
    with pytest.raises(AssertionError, match=said):
        check_events(rest(database))


def test_a_state_that_never_stands_still_is_told(database):
    ask, count = rest(database), iter(range(1000))
    (session,) = ask("/v1/sessions?state=all")["items"]

    def restless(target: str) -> Any:
        answer = ask(target)
        return answer if "/events" in target else {**answer, "last_seq": next(count)}

    with pytest.raises(AssertionError, match="changes faster"):
        check_session(restless, session["id"])
