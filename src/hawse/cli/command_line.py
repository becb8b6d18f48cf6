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
            is_perhaps_a_command = isinstance(error, click.NoSuchOption) or "extra argument" in error.message
            if _META in ctx.meta or not is_perhaps_a_command:
                raise
            from hawse.cli.usage import said, usage_of
            from hawse.domain.errors import Invalid

            step = f"put -- before the command: {usage_of(ctx)}; more: {ctx.command_path} --help"
            raise Invalid(said(error), next_step=step) from error

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """[OPTIONS] NAME [-- COMMAND...]"""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def command_line() -> tuple[str, ...]:
    """The words behind `--`."""
    words = click.get_current_context().meta.get(_META, ())
    assert isinstance(words, tuple)
    return words
