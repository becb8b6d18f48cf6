"""What lasts: the process that outlives everyone and keeps terminal, log and exit status."""
