"""Run as a program: change things in a store for ever, and tell on stdout what was acknowledged, until killed.

    python changing.py (sqlite|postgres) TARGET TASKS [COUNT]

Each change sets a session's description to "TASK-COUNT" and stores an effect that names it; each line is the same text.
A change that the store could not take is told as "! TEXT"; then the next one is tried.
"""

import asyncio
import os
import sys
from dataclasses import replace

from hawse.adapters.clock import SystemClock
from hawse.domain.effect import CutAttachment
from hawse.domain.errors import Unavailable
from hawse.testing.check_store import new_session


async def opened(kind, target):
    if kind == "sqlite":
        from hawse.adapters.store.sqlite import SqliteStore

        return await SqliteStore.open(target, SystemClock())
    from hawse.adapters.store.postgres import PostgresStore

    return await PostgresStore.open(target, SystemClock())


def tell(text):
    os.write(1, f"{text}\n".encode())


async def change_for_ever(store, task, count_max):
    session = new_session(f"{task}-{os.getpid()}")
    await store.write(lambda unit: unit.change(None, session, kind="session.created", by="x"))
    for count in range(count_max):
        text = f"{session.id}-{count}"

        def verb(unit, text=text):
            before = unit.session(session.id)
            effect = CutAttachment("job", text, "asked")
            unit.change(before, replace(before, description=text), kind="session.described", by="x", effects=(effect,))

        try:
            await store.write(verb)
            tell(text)
        except Unavailable:
            tell(f"! {text}")


async def main(kind, target, tasks, count_max=1 << 60):
    store = await opened(kind, target)
    tell("open")
    await asyncio.gather(*(change_for_ever(store, task, int(count_max)) for task in range(int(tasks))))
    await store.aclose()
    tell("closed")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
