"""Versions over HTTP: `ETag` tells one, `If-Match` asks for one."""

from __future__ import annotations

import re

from hawse.api.rest.caller import AnyRequest, visit_of
from hawse.domain.errors import Invalid

_TAG = re.compile(r'"([1-9][0-9]{0,15})"')


def expected(request: AnyRequest) -> int | None:
    """The version that the caller decided on; None: any. Raises Invalid.

    Source: RFC 9110, 13.1.1; our tags are the version in quotes, and one tag is enough.
    """
    given = visit_of(request).header("if-match")
    if given is None or given == "*":
        return None
    found = _TAG.fullmatch(given.strip())
    if found is None:
        raise Invalid('If-Match is a version in quotes, as ETag told it: "3"')
    return int(found[1])
