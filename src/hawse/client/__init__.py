"""What users import: the Python API, asyncio and synchronous twins from one source, over REST and wire."""
