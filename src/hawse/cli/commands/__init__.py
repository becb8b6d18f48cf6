"""One module per command; each has `command`, and is imported when that command is used."""
