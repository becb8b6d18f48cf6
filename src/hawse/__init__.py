"""hawse: durable sessions for distributed work."""

__version__ = "0.1.0"
