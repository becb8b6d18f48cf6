"""hawse: durable sessions for distributed work.

`hawse.open(name)` and `hawse.connect()`; asyncio twins in `hawse.aio`. They are loaded when first used, by name: every
floor imports this package, so it may not import one. Their types are in `__init__.pyi`.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["__version__", "aio", "connect", "open"]

_LAZY = {
    "aio": ("hawse.client.aio", ""),
    "connect": ("hawse.client.api", "connect"),
    "open": ("hawse.client.api", "open_session"),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'hawse' has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _LAZY[name]
    found: object = import_module(module)
    value = getattr(found, attribute) if attribute else found
    globals()[name] = value
    return value
