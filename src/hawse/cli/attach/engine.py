"""Which pump the attach client runs: the compiled one where it was built, else the Python one. Both do the same.

HAWSE_ENGINE=python|compiled|auto chooses; "compiled" without a compiled core is told, never a silent change.
"""

from __future__ import annotations

import os

from hawse.domain.errors import Invalid

TYPE_CHECKING = False
WANTED = os.environ.get("HAWSE_ENGINE") or "auto"
ENGINE = "compiled"

if WANTED not in ("python", "compiled", "auto"):
    raise Invalid(f"HAWSE_ENGINE is {WANTED!r}; it may be python, compiled or auto")
if TYPE_CHECKING:
    from hawse.cli.attach.pump import Pump
else:
    try:
        if WANTED == "python":
            raise ImportError("not wanted")
        from hawse._core import Pump
    except ImportError as error:
        if WANTED == "compiled":
            step = "install a C compiler and Python's headers, then make install; or unset HAWSE_ENGINE"
            raise Invalid(f"HAWSE_ENGINE is compiled, but it was not built: {error}", next_step=step) from error
        from hawse.cli.attach.pump import Pump

        ENGINE = "python"

__all__ = ["ENGINE", "Pump"]
