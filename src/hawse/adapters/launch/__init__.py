"""Launchers: how jobs are started and found again."""
