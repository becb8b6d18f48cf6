"""The OpenAPI document at `/schema/openapi.json`: what Litestar derives from the handlers, and what holds for all of them.

The rules that all operations share (problems, request ids, versions) are added here once instead of at every handler.
"""

from __future__ import annotations

from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from hawse import __version__

CONFIG = OpenAPIConfig(
    title="hawse", version=__version__, path="/schema", description="Durable sessions for distributed work.",
    render_plugins=[JsonRenderPlugin(path=["/openapi.json", "/"])],
)
HANDLERS: list[object] = []
