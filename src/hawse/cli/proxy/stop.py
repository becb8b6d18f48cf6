"""The far half of `hawse down`."""

from __future__ import annotations

import json

from hawse.client.places import own_places
from hawse.client.start import stop_coordinator


def stopped() -> bytes:
    """Stop this user's coordinator; which process it was, as JSON. Raises Unavailable."""
    return json.dumps({"stopped": stop_coordinator(own_places())}).encode("ascii")
