"""The asyncio client. Its synchronous twin is generated from it: run tools/twins.py after a change."""
