"""The command line. It speaks client, never services."""
