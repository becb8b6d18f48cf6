"""`hawse completion`."""

from __future__ import annotations

import click


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> int:
    """Print the completion script for a shell. It completes commands, options, and names of sessions and jobs.

    \b
    bash:  echo 'eval "$(hawse completion bash)"' >> ~/.bashrc
    zsh:   echo 'eval "$(hawse completion zsh)"' >> ~/.zshrc
    fish:  hawse completion fish > ~/.config/fish/completions/hawse.fish
    """
    from click.shell_completion import get_completion_class

    from hawse.cli.main import group

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(group, {}, "hawse", "_HAWSE_COMPLETE").source())
    return 0
