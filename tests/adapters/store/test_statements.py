"""The SQL: complete, used, the same for both databases, and no name that the domain does not know."""

import ast
import re
import sqlite3
from pathlib import Path

import pytest

from hawse.adapters.store import statements as module
from hawse.adapters.store.sqlite_connection import split
from hawse.adapters.store.statements import FOLDER, migrations, missing, statements
from hawse.domain import attachment, effect, grant, job, project, session, token, user
from hawse.domain.errors import NewerStore

DIALECTS = ["sqlite", "postgres"]
LEADING = {"leader_take", "leader_renew", "leader_left", "leader_give_up"}  # only PostgreSQL has several coordinators
ENUMS = {
    ("sessions", "state"): session.S,
    ("sessions", "lease"): session.Lease,
    ("jobs", "state"): job.S,
    ("jobs", "on_lost"): job.OnLost,
    ("attachments", "state"): attachment.S,
    ("attachments", "mode"): attachment.Mode,
    ("attachments", "reason"): attachment.Reason,
    ("jobs", "on_error"): job.OnError,
    ("grants", "role"): grant.Role,
    ("grants", "state"): grant.S,
    ("outbox", "kind"): effect.EFFECTS,
    ("users", "state"): user.S,
    ("tokens", "state"): token.S,
    ("projects", "state"): project.S,
}


def checks_of(dialect):
    """Every list of names in a CHECK, by table and column."""
    found = {}
    for step in migrations(dialect):
        for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\)", step.text, re.DOTALL):
            for column, names in re.findall(r"CHECK \((\w+) IN \(([^)]*)\)\)", body):
                found[table, column] = re.findall(r"'(\w+)'", names)
    return {key: names for key, names in found.items() if names}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_constraints_list_the_names_of_the_domain(dialect):
    found = checks_of(dialect)
    assert found.pop(("events", "noun")) == ["session", "job", "attachment", "grant"]
    assert found.keys() == ENUMS.keys()
    for key, names in found.items():
        assert names == [str(name) for name in ENUMS[key]], key


def test_final_states_in_statements_are_those_of_the_domain():
    assert {session.S.ENDED} == session.FINAL
    assert {job.S.ENDED} == job.FINAL
    assert {attachment.S.DETACHED} == attachment.FINAL


def test_every_statement_is_asked_for_and_every_question_has_one():
    """Names that Python builds from a noun or a filter are written out here."""
    source = "".join(path.read_text() for path in Path(module.__file__).parent.glob("*.py"))
    words = {node.value for node in ast.walk(ast.parse(source.replace("from __future__ import annotations", "")))
             if isinstance(node, ast.Constant) and isinstance(node.value, str)}  # fmt: skip
    nouns, verbs = ("job", "attachment", "grant"), ("insert", "update", "remove", "by_id")
    built = {f"{noun}_{verb}" for noun in nouns for verb in verbs}
    built |= {f"project_sessions_{which}" for which in ("all", "living", "ended")} | {"session_by_id"}
    built |= {f"{noun}_{verb}" for noun in ("user", "project") for verb in ("insert", "update", "by_name")}
    built |= {f"token_{verb}" for verb in ("insert", "update", "by_id")}
    for dialect in DIALECTS:
        names = set(statements(dialect))
        assert not names - words - built, f"{dialect}: nobody asks for these"
        assert built <= names


def test_both_dialects_have_the_same_statements_and_steps():
    assert statements("sqlite").keys() | LEADING == statements("postgres").keys()
    assert [step.name for step in migrations("sqlite")] == [step.name for step in migrations("postgres")]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_steps_are_numbered_without_a_gap_and_say_when_they_run(dialect):
    steps = migrations(dialect)
    assert [step.number for step in steps] == list(range(1, len(steps) + 1))
    assert all(re.fullmatch(r"\d\d_(pre|post)_\w+", step.name) for step in steps)


def test_every_statement_fits_the_schema_and_searches_no_table_row_by_row():
    """Lists of everything may; a question about one thing may not."""
    connection = sqlite3.connect(":memory:")
    for step in migrations("sqlite"):
        for statement in split(step.text):
            connection.execute(statement)
    whole = set()
    for name, text in statements("sqlite").items():
        parameters = dict.fromkeys(re.findall(r":(\w+)", text), "1")
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters)]
        tables = "sessions|jobs|attachments|events|answers|orders|outbox|grants|secrets"
        tables += "|users|user_uids|tokens|projects|audit"
        scanned = re.compile(rf"SCAN ({tables})\b(?!.*INDEX)")
        if any(map(scanned.match, plan)):
            whole.add(name)
    assert not whole, whole
    connection.close()


def test_a_newer_store_is_refused_with_what_to_do():
    known = migrations("sqlite")[-1].number
    assert missing("sqlite", known, "x") == ()
    assert missing("sqlite", 0, "x") == migrations("sqlite")
    sentence = f"the store x has version 99; this hawse knows versions up to {known}"
    with pytest.raises(NewerStore, match=sentence) as caught:
        missing("sqlite", 99, "the store x")
    assert caught.value.facts == {"found": 99, "known": known}
    assert "install" in caught.value.next_step


def test_a_name_that_is_there_twice_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1\n-- name: one\nSELECT 2\n")
    monkeypatch.setattr(module, "FOLDER", tmp_path)
    with pytest.raises(ValueError, match="one is there twice"):
        statements.__wrapped__("sqlite")
    assert tmp_path != FOLDER
