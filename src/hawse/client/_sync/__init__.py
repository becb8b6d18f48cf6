"""The synchronous client, generated from the asyncio one by tools/twins.py."""
