"""What tests compare: an object's fields as events tell them."""

from __future__ import annotations

from hawse.adapters.store.fields import NOUNS, fields_of, session_of

__all__ = ["NOUNS", "fields_of", "session_of"]
