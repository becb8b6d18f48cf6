"""hawse: durable sessions for distributed work.

`hawse.open(name)` and `hawse.connect()`; asyncio twins in `hawse.aio`. All of them are loaded when first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.client import aio as aio
    from hawse.client.api import connect as connect
    from hawse.client.api import open_session as open

__version__ = "0.1.0"
__all__ = ["__version__", "aio", "connect", "open"]


def __getattr__(name: str) -> object:
    if name in ("connect", "open"):
        from hawse.client import api

        value: object = api.connect if name == "connect" else api.open_session
    elif name == "aio":
        from hawse.client import aio

        value = aio
    else:
        raise AttributeError(f"module 'hawse' has no attribute {name!r}")
    globals()[name] = value
    return value
