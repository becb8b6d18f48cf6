"""Commands that take a command line after `--`: everything behind it is the job's, option or not."""

from __future__ import annotations

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """As click's; none where a shell completes a word behind `--`, which is no parameter's."""
        return [] if ctx.resilient_parsing and _META in ctx.meta else super().get_params(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Options before `--`; behind it what the job could be."""
        if _META not in ctx.meta:
            return super().shell_complete(ctx, incomplete)
        from hawse.cli.completion import command_line as completed

        return completed(ctx.meta[_META], incomplete)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """[OPTIONS] NAME [-- COMMAND...]"""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]


def command_line() -> tuple[str, ...]:
    """The words behind `--`."""
    words = click.get_current_context().meta.get(_META, ())
    assert isinstance(words, tuple)
    return words
