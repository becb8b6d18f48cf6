"""Commands that take a command line after `--`: everything behind it is the job's, option or not."""

from __future__ import annotations

import click

_META = "hawse.argv"


class WithCommandLine(click.Command):
    """A command whose arguments end at the first `--`; what follows is had with `command_line()`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Takes the command line off before click sees it."""
        if "--" in args:
            at = args.index("--")
            ctx.meta[_META] = tuple(args[at + 1 :])
            args = args[:at]
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            if _META not in ctx.meta and ("extra argument" in error.message or "No such option" in error.message):
                told = f"{error.message.rstrip('.')}; put -- before the command."
                raise click.UsageError(told, ctx) from error
            raise

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """[OPTIONS] NAME [-- COMMAND...]"""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def command_line() -> tuple[str, ...]:
    """The words behind `--`."""
    words = click.get_current_context().meta.get(_META, ())
    assert isinstance(words, tuple)
    return words
