"""What `import hawse` gives; see __init__.py."""

from hawse.client import aio as aio
from hawse.client.api import connect as connect
from hawse.client.api import open_session as open

__version__: str
__all__ = ["__version__", "aio", "connect", "open"]
