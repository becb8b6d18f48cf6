"""What tells people: a webhook, a mail, a command, the desktop."""
