"""The notifiers that hawse has, by means."""

from __future__ import annotations

from hawse.adapters.notify.command import Command
from hawse.adapters.notify.desktop import Desktop
from hawse.adapters.notify.smtp import Mail
from hawse.adapters.notify.webhook import Webhook
from hawse.domain.channel import Means
from hawse.ports.notifier import Notifier


def notifiers() -> dict[str, Notifier]:
    """One for each means."""
    return {Means.WEBHOOK: Webhook(), Means.MAIL: Mail(), Means.COMMAND: Command(), Means.DESKTOP: Desktop()}
