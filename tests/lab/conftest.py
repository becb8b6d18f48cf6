"""Tests with more than one machine, or what looks like it. `sshd`: a Lab with hawse installed; see sshd.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent / "cli"))

from fixtures import far_hawse, site, sshd

__all__ = ["far_hawse", "site", "sshd"]
