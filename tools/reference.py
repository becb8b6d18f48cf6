"""Make the reference pages from the code: docs/reference/*.md.

    python tools/reference.py            write what changed, remove what is no longer made
    python tools/reference.py --check    write nothing; exit 1 when a page is not what the code says

Where each page comes from: cli.md from the commands' own help; rest.md from the OpenAPI document, built without a
server; python.md from signatures and docstrings of the public API; states.md from the tables of `hawse.domain`;
events.md from the kinds that `hawse.services` write. Nothing is said twice: to change a page, change the code. The same
code gives the same bytes, on any machine.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import sys
from argparse import SUPPRESS
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

import click

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
NOTICE = "<!-- Made by tools/reference.py from the code. Change the code, then run: make docs -->\n\n"
WIDTH = 100

Json = dict[str, Any]


def cell(text: str) -> str:
    """A text that may stand in a table and keeps its words."""
    return " ".join(text.split()).replace("|", "\\|")


def table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A Markdown table; "" for one without rows."""
    if not rows:
        return ""
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n\n"


def prose(text: str) -> str:
    r"""A docstring as Markdown: paragraphs are filled, click's \b paragraphs and drawings are kept."""
    parts = []
    for part in inspect.cleandoc(text).split("\n\n"):
        if part.startswith("\b"):
            parts.append(f"```\n{inspect.cleandoc(part.removeprefix(chr(8)))}\n```")
        else:
            parts.append(" ".join(part.split()).replace("<", "\\<"))
    return "\n\n".join(parts) + "\n\n"


# --- the command line ------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Every command with its usage, its help and its options."""
    from hawse.cli.main import COMMANDS, group

    context = click.Context(group, info_name="hawse", max_content_width=WIDTH, terminal_width=WIDTH)
    parts = ["# Commands\n\n", prose(group.help or "")]
    parts.append(table(("command", "does"), [(f"[`hawse {n}`](#hawse-{n})", told) for n, told in COMMANDS.items()]))
    parts.append(
        prose("""
            `NAME` is a session's name, its id, or the unique beginning of its id. `NAME/JOB` is one of its jobs;
            without `/JOB` the newest living job that has a terminal is meant, else the newest living one, else the
            newest. Exit codes are in [States and errors](states.md#errors); `hawse run` and `hawse wait` exit with the
            job's own. Every command has `--help`.
        """)
    )
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        parts.append(_command(name, command, context))
    return "".join(parts)


def _command(name: str, command: click.Command, above: click.Context, level: str = "##") -> str:
    context = click.Context(command, info_name=name, parent=above, max_content_width=WIDTH, terminal_width=WIDTH)
    whole = context.command_path
    usage = " ".join([whole, *command.collect_usage_pieces(context)])
    records = [parameter.get_help_record(context) for parameter in command.get_params(context)]
    options = [(f"`{record[0]}`", record[1]) for record in records if record is not None and record[1]]
    options = _serve_options() if name == "serve" else options[:-1]  # the last one is --help
    parts = [f"{level} {whole}\n\n```\n{usage}\n```\n\n{prose(command.help or '')}{table(('option', 'does'), options)}"]
    if isinstance(command, click.Group):
        for below in command.list_commands(context):
            found = command.get_command(context, below)
            assert found is not None
            parts.append(_command(below, found, context, level + "#"))
    return "".join(parts)


def _serve_options() -> list[tuple[str, str]]:
    """The coordinator's own: `hawse serve` hands its words on."""
    from hawse.daemons.coordinator import _parser

    actions = [one for one in _parser()._actions if one.dest != "help" and one.help != SUPPRESS]
    return [(f"`{' '.join([*one.option_strings, str(one.metavar or '')]).strip()}`", one.help or "") for one in actions]


# --- REST ------------------------------------------------------------------------------------------------------------


def openapi() -> Json:
    """The OpenAPI document, as a running coordinator would answer it."""
    from hawse.api.rest import schema
    from hawse.api.rest.app import routes

    app = routes()
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", ())]
    document: Json = schema.completed(app.openapi_schema.to_schema(), handlers)
    return document


def rest_page() -> str:
    """Every operation with its parameters, body and answer; then every object."""
    document = openapi()
    schemas = document["components"]["schemas"]
    parts = [
        "# REST\n\n",
        prose("""
            HTTP/1.1 on the coordinator's Unix socket (`hawse status` tells its path). The same as OpenAPI:
            `/schema/openapi.json` of a running coordinator. The rules behind it are in [spec 06](../spec/06-rest.md).
            Every error is an [`application/problem+json`](#problemdocument) document; its codes are in
            [States and errors](states.md#errors).
        """),
    ]
    operations = [(path, verb.upper(), one) for path, verbs in document["paths"].items() for verb, one in verbs.items()]
    operations.sort(key=lambda found: (found[0].count("/"), found[0], _VERBS.index(found[1])))
    rows = [(f"[`{verb} {path}`](#{_anchor(f'{verb} {path}')})", one["summary"]) for path, verb, one in operations]
    parts.append(table(("operation", "does"), rows))
    for path, verb, one in operations:
        parts.append(_operation(path, verb, one))
    parts.append("# Objects\n\n")
    parts += [_object(name, schemas[name]) for name in sorted(schemas)]
    return "".join(parts)


_VERBS = ("GET", "POST", "PATCH", "PUT", "DELETE")


def _anchor(heading: str) -> str:
    """As Markdown viewers make it from a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _operation(path: str, verb: str, one: Json) -> str:
    text = [f"## {verb} {path}\n\n", prose(one["summary"] + ".")]
    if one["description"].rstrip(".") != one["summary"]:
        text.append(prose(one["description"]))
    rows: list[tuple[str, ...]] = [
        (f"`{p['name']}`", p["in"], type_of(p["schema"]), p.get("description") or p["schema"].get("title", ""))
        for p in one["parameters"]
    ]
    text.append(table(("parameter", "in", "type", "what"), rows))
    if "requestBody" in one:
        body = one["requestBody"]["content"]["application/json"]
        text.append(f"Body: {type_of(body['schema'])}\n\n")
        examples = [one["value"] for one in body.get("examples", {}).values()]
        text += [f"```json\n{json.dumps(example, indent=2)}\n```\n\n" for example in examples]
    for code, answer in one["responses"].items():
        if code.startswith("2"):
            kinds = " or ".join(f"{type_of(c['schema'])} (`{kind}`)" for kind, c in answer["content"].items())
            text.append(f"Answer: {code}, {kinds}\n\n")
            rows = [(f"`{name}`", header["description"]) for name, header in answer.get("headers", {}).items()]
            text.append(table(("header", "what"), rows))
    return "".join(text)


def _object(name: str, schema: Json) -> str:
    text = f"## {name}\n\n" + (prose(schema["description"]) if schema.get("description") else "")
    if "enum" in schema:
        return text + "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + ".\n\n"
    required = schema.get("required", [])
    rows = [
        (f"`{field}`", type_of(one), "required" if field in required else _default(one))
        for field, one in schema.get("properties", {}).items()
    ]
    return text + table(("field", "type", "default"), rows)


def _default(schema: Json) -> str:
    return f"`{json.dumps(schema['default'])}`" if "default" in schema else ""


def type_of(schema: Json) -> str:
    """A schema in words, with its limits."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(type_of(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    kind = schema.get("type", "any")
    if kind == "array":
        kind = f"list of {type_of(schema['items'])}"
    elif kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        kind = f"object of {type_of(schema['additionalProperties'])}"
    names = (("minimum", "at least"), ("maximum", "at most"), ("maxLength", "at most"), ("maxItems", "at most"),
             ("maxProperties", "at most"))  # fmt: skip
    units = {"maxLength": " characters", "maxItems": " items", "maxProperties": " entries"}
    limits = [f"{word} {schema[key]}{units.get(key, '')}" for key, word in names if key in schema]
    return f"{kind} ({', '.join(limits)})" if limits else str(kind)


# --- Python ----------------------------------------------------------------------------------------------------------


def python_page() -> str:
    """The synchronous API; its asyncio twin has the same names."""
    import hawse
    from hawse.client import api, records, records_notices, records_site

    parts = [
        "# Python\n\n",
        prose("""
            `import hawse` loads next to nothing; what you use is loaded when you use it. Every class and function below
            has an asyncio twin under `hawse.aio` with the same name: there methods are awaited, `with` is `async with`,
            `for` is `async for`, and `close()` is `aclose()`. Errors are those of
            [States and errors](states.md#errors), from `hawse.domain.errors`.
        """),
        "# Doors\n\n",
    ]
    doors = {name: getattr(hawse, name) for name in sorted(hawse.__all__)}
    parts += [_function(f"hawse.{name}", one, level="##") for name, one in doors.items() if inspect.isfunction(one)]
    parts.append("# Objects\n\n")
    parts += [_class(kind) for kind in (api.Server, api.Session, api.Job, api.Attachment, api.Notices)]
    parts += ["# Records\n\n", prose("What was answered, as read-only objects. `raw` has the whole JSON object.")]
    for module in (records, records_notices, records_site):
        for _, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == module.__name__ and kind is not records.Record:
                parts.append(_record(kind))
    return "".join(parts)


def _class(kind: type) -> str:
    parts = [f"## {kind.__name__}\n\n", prose(inspect.getdoc(kind) or "")]
    members = [(name, one) for name, one in vars(kind).items() if not name.startswith("_") and inspect.getdoc(one)]
    rows = [(f"`{name}`", inspect.getdoc(one) or "") for name, one in members if isinstance(one, property)]
    parts.append(table(("attribute", "what"), rows))
    for name, one in members:
        if inspect.isfunction(one):
            parts.append(_function(f"{kind.__name__}.{name}", one, level="###"))
    return "".join(parts)


def _function(name: str, function: Callable[..., Any], *, level: str) -> str:
    signature = inspect.signature(function)
    kept = [p.replace(annotation=_unquoted(p.annotation)) for n, p in signature.parameters.items() if n != "self"]
    signature = signature.replace(parameters=kept, return_annotation=_unquoted(signature.return_annotation))
    text = f"{name}{_shown(signature)}"
    return f"{level} {name}\n\n```python\n{text}\n```\n\n{prose(inspect.getdoc(function) or '')}"


class _Word:
    """An annotation that is shown as it was written."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _unquoted(annotation: Any) -> Any:
    return _Word(annotation) if isinstance(annotation, str) else annotation


def _shown(signature: inspect.Signature) -> str:
    """On one line, or one line a parameter when that is too long."""
    short = str(signature)
    if len(short) <= WIDTH:
        return short
    words, starred = [], False
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            words.append("*")
            starred = True
        words.append(str(parameter))
    lines = "".join(f"    {word},\n" for word in words)
    return f"(\n{lines}) -> {signature.return_annotation!r}"


def _record(kind: type) -> str:
    notes = inspect.get_annotations(kind)
    shown = {name: note for name, note in notes.items() if not name.startswith("_") and name != "raw"}
    fields = [(f"`{name}`", f"`{note}`", "") for name, note in shown.items()]
    derived = [
        (f"`{name}`", "", inspect.getdoc(one) or "") for name, one in vars(kind).items() if isinstance(one, property)
    ]
    text = f"## {kind.__name__}\n\n{prose(inspect.getdoc(kind) or '')}"
    return text + table(("field", "type", "what"), fields + derived)


# --- states, errors, events ------------------------------------------------------------------------------------------


def states_page() -> str:
    """The state tables as diagrams and tables; then the errors."""
    from hawse.domain import attachment, grant, job, notice, session

    parts = [
        "# States and errors\n\n",
        prose("""
            A move that is not in these tables is refused (`illegal_move`), never silently ignored. The rules behind
            them are in [spec 01](../spec/01-sessions.md).
        """),
    ]
    for noun, module, moves in (
        ("Session", session, session.SESSION), ("Job", job, job.JOB), ("Attachment", attachment, attachment.ATTACHMENT),
        ("Grant", grant, grant.GRANT), ("Notice", notice, notice.NOTICE),
    ):  # fmt: skip
        parts.append(f"# {noun}\n\n{prose((inspect.getdoc(getattr(module, noun)) or '').partition(chr(10))[0])}")
        parts += [diagram(moves, module.START, module.FINAL), _moves(moves)]
    parts += ["# How a job ends\n\n", prose(inspect.getdoc(job.Outcome) or ""), _values(job, "OutcomeKind")]
    parts += ["# Why an attachment ended\n\n", _values(attachment, "Reason")]
    return "".join(parts) + errors_part()


def diagram(moves: Mapping[tuple[Any, Any], Any], start: StrEnum, final: frozenset[Any]) -> str:
    """A state diagram in Mermaid: moves between the same two states share an arrow; moves that stay have none."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (before, event), after in moves.items():
        if before != after:
            arrows.setdefault((before, after), []).append(event.replace("_", " "))
    lines = [f"    [*] --> {start}"]
    lines += [f"    {before} --> {after} : {', '.join(events)}" for (before, after), events in arrows.items()]
    lines += [f"    {state} --> [*]" for state in sorted(final)]
    return "```mermaid\nstateDiagram-v2\n" + "\n".join(lines) + "\n```\n\n"


def _moves(moves: Mapping[tuple[Any, Any], Any]) -> str:
    rows = [(str(state), str(event), "stays" if state == to else str(to)) for (state, event), to in moves.items()]
    return table(("state", "event", "state after"), rows)


def _values(module: ModuleType, name: str) -> str:
    """An enum's values, with the comments beside them."""
    source = inspect.getsource(module)
    (node,) = (one for one in ast.parse(source).body if isinstance(one, ast.ClassDef) and one.name == name)
    lines = source.split("\n")
    rows = [
        (f"`{one.value.value!s}`", lines[one.lineno - 1].partition("  # ")[2])
        for one in node.body
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant)
    ]
    if not any(row[1] for row in rows):
        return ", ".join(row[0] for row in rows) + ".\n\n"
    return table(("value", "what"), rows)


def errors_part() -> str:
    """Every error: what REST and the command line tell."""
    from hawse.domain import errors

    def tree(kind: type[errors.Problem]) -> Iterator[type[errors.Problem]]:
        yield kind
        for below in kind.__subclasses__():
            if below.__module__ == errors.__name__:
                yield from tree(below)

    doc = inspect.getdoc(errors) or ""
    drawing = re.search(r"\n\n((?:    .*\n?)+)", doc)
    assert drawing is not None
    rows = [
        (f"`{kind.code}`", kind.__name__, str(kind.http), str(kind.exit), "yes" if kind.retry else "",
         (inspect.getdoc(kind) or "").partition("\n")[0])
        for kind in tree(errors.Problem) if kind is not errors.Problem
    ]  # fmt: skip
    head = ("code", "class", "HTTP", "exit code", "retry", "default message")
    before = prose("""
        `code` is what programs read, `HTTP` the status of a REST answer, `exit code` what the command line ends with,
        `retry` whether the same request may succeed later.
    """)
    after = prose("""
        Beside them: 64 for wrong usage of the command line, 130 after Ctrl-C and after a detach from `hawse run`,
        141 when the reader of the output left. `hawse run` and `hawse wait` exit with the job's own
        code, 128 + n when signal n ended it, 126 or 127 when it could not be started, 1 when it was lost.
    """)
    picture = f"```\n{inspect.cleandoc(drawing[1])}\n```\n\n"
    return f"# Errors\n\nOne tree, by what you can do about it:\n\n{picture}{before}{table(head, rows)}{after}"


KINDS = {
    "session.created": "a session begins",
    "session.described": "its description, labels or alias were changed",
    "session.lease_set": "when it ends by itself was changed",
    "session.policy_set": "policies were set for it, or taken away",
    "session.warned": "a clock is about to run out; `detail` says which, when, and what to type",
    "session.signalled": "nobody was attached for the time that its policy gives; its jobs get a signal",
    "session.end_asked": "somebody, or its lease, asked for its end; `reason` says why",
    "session.ended": "all it held is released; the last event of a session's work",
    "session.given": "an admin of the site gave it to another user",
    "session.refused": "somebody tried what he may not; `detail` says what, from where, how often in that minute",
    "job.start_asked": "the pause after a failure is over; the next attempt is under way",
    "job.created": "a job was added; its start is under way",
    "job.started": "its runner has started the command; `pid` is set",
    "job.log_changed": "its output log blocks or drops (a full disk), or is well again",
    "job.stop_asked": "somebody asked for its end: SIGTERM, grace, SIGKILL",
    "job.lost": "its runner died, and what the job left behind (`left_behind`) is being ended",
    "job.restarted": "its runner or host died, and it is started again as its next attempt",
    "job.retried": "it failed, and is started again at `start_at`, as its next attempt",
    "job.waits": "its output is quiet and its program reads the terminal; looked for where somebody is told of it",
    "job.ended": "it exited, was killed, never ran, or was lost; `outcome` says which",
    "attachment.created": "somebody got a ticket for a job's terminal",
    "attachment.linked": "their link to the job's runner is there",
    "attachment.link_lost": "their link broke without a word; they may come back within a minute",
    "attachment.control_taken": "it took control of its job; `detail` says from whom",
    "attachment.control_passed": "it was given control, since the one before went, was silent, or nobody had it",
    "attachment.control_lost": "it stays, and another one has control now; `detail` says who",
    "attachment.seen_active": "a clock asked when it was last active, and it was since then",
    "attachment.detached": "it ended; `reason` says why, `detached_by` who did it. The work goes on",
    "grant.created": "somebody was given a role, or a link was made",
    "grant.changed": "his role, what it is narrowed to, or its end was changed",
    "grant.redeemed": "somebody showed a link's secret; his own grant follows",
    "grant.revoked": "it was taken back; who was attached by it is cut",
    "grant.expired": "its time is over; who was attached by it is cut",
}
_KIND = re.compile(r"(?:session|job|attachment|grant)\.[a-z_]+")


def kinds_written() -> set[str]:
    """The kinds of events that the services write, as they stand in their source."""
    found = set()
    for path in (ROOT / "src" / "hawse" / "services").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _KIND.fullmatch(node.value):
                found.add(node.value)
    return found


def events_page() -> str:
    """The kinds of events and the fields of one. Raises SystemExit when a kind has no description, or is gone."""
    from hawse.domain.event import Event

    differing = kinds_written() ^ KINDS.keys()
    if differing:
        raise SystemExit(f"tools/reference.py: KINDS and src/hawse/services differ: {', '.join(sorted(differing))}")
    rows = [(f"`{name}`", f"`{note}`") for name, note in inspect.get_annotations(Event).items()]
    text = prose("""
        Each change of a session, its jobs and its attachments is one event, numbered 1, 2, 3 ... per session without
        gaps, written in the transaction of the change. `hawse events`, `Session.events()` and
        `GET /v1/sessions/{session}/events` read them from any number on. Replaying them from the first gives the
        present state.
    """)
    kinds = table(("kind", "what happened"), [(f"`{kind}`", told) for kind, told in KINDS.items()])
    return f"# Events\n\n{text}{kinds}# Event\n\n{prose(inspect.getdoc(Event) or '')}{table(('field', 'type'), rows)}"


# --- all of them -----------------------------------------------------------------------------------------------------

PAGES: dict[str, Callable[[], str]] = {
    "cli.md": cli_page,
    "events.md": events_page,
    "python.md": python_page,
    "rest.md": rest_page,
    "states.md": states_page,
}


def made() -> dict[str, str]:
    """All pages: file name and text."""
    return {name: NOTICE + re.sub(r"\n{3,}", "\n\n", page()).rstrip() + "\n" for name, page in PAGES.items()}


def main(arguments: list[str]) -> int:
    """See the module."""
    check = arguments == ["--check"]
    if arguments and not check:
        print("usage: tools/reference.py [--check]", file=sys.stderr)
        return 64
    pages = made()
    there = {path.name for path in FOLDER.glob("*.md")} if FOLDER.is_dir() else set()
    stale = sorted(there - pages.keys())
    for name, text in pages.items():
        path = FOLDER / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if not check:
                FOLDER.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    for name in there - pages.keys():
        if not check:
            (FOLDER / name).unlink()
    if stale:
        told = "not up to date (make docs writes them)" if check else "written"
        print(f"docs/reference: {told}: {', '.join(sorted(stale))}", file=sys.stderr if check else sys.stdout)
    return 1 if check and stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
