"""Mutual proof of runner and coordinator: both know the job's secret, neither says it.

Source: spec 03, section 6.
"""

from __future__ import annotations

import hashlib
import hmac

RUNNER = "runner"
COORDINATOR = "coordinator"


def proof(
    secret: bytes, role: str, *, job: str, attempt: int, incarnation: str, their_nonce: str, own_nonce: str
) -> str:
    """What `role` answers to `their_nonce`, as hexadecimal digits."""
    said = "\n".join((role, job, str(attempt), incarnation, their_nonce, own_nonce))
    return hmac.digest(secret, said.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def is_same(left: str, right: str) -> bool:
    """Compare two proofs in constant time."""
    return hmac.compare_digest(left.encode("utf-8", "surrogatepass"), right.encode("utf-8", "surrogatepass"))
