"""Usage errors in hawse's own words: click finds them, and they are told like every other error."""

from __future__ import annotations

import re

import click

from hawse.client.names import did_you_mean
from hawse.domain.errors import Invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# What click has no class of its own for. Source: click/core.py, click/parser.py
_WORDS = (
    (re.compile(r"Got unexpected extra arguments? \((.+)\)"), "{} is more than it takes"),
    (re.compile(r"Option '(.+)' requires an argument"), "{} needs a value"),
    (re.compile(r"Option '(.+)' does not take a value"), "{} takes no value"),
)


def usage_problem(error: click.ClickException) -> Invalid:
    """What was wrong with the command line, and how it is written."""
    context = getattr(error, "ctx", None)
    if context is None:
        return Invalid(said(error), next_step="hawse --help lists the commands")
    return Invalid(said(error), next_step=f"write: {usage_of(context)}; more: {context.command_path} --help")


def usage_of(context: click.Context) -> str:
    """How a command is written: hawse ls [OPTIONS]."""
    return " ".join([context.command_path, *context.command.collect_usage_pieces(context)])


def said(error: click.ClickException) -> str:
    """The error as one sentence, with what was perhaps meant."""
    match error:
        case click.NoSuchOption():
            return f"there is no option {error.option_name}{did_you_mean(error.option_name, _options(error.ctx))}"
        case click.MissingParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)} is missing"
        case click.BadParameter(param=click.Parameter() as parameter):
            return f"{_name(parameter)}: {error.message.rstrip('.')}"
    for pattern, words in _WORDS:
        found = pattern.search(error.message)
        if found is not None:
            return words.format(found[1])
    return error.message[:1].lower() + error.message[1:].rstrip(".")


def _name(parameter: click.Parameter) -> str:
    """As help shows it: NAME, --grace."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.metavar or (parameter.name or "").upper()


def _options(context: click.Context | None) -> Iterator[str]:
    for parameter in context.command.get_params(context) if context is not None else ():
        yield from (*parameter.opts, *parameter.secondary_opts) if isinstance(parameter, click.Option) else ()
