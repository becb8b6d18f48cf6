"""The types of request fields: every text, list and count with its limit.

What a text may hold is a pattern for the schema alone (`extra_json_schema`, `schema_extra`): the domain keeps that
rule, and tells it in a sentence where a decoder would show the pattern.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from hawse.api.rest import limits
from hawse.domain.ids import NAME_LENGTH_MAX, NAME_PATTERN
from hawse.domain.job import ATTEMPTS_MAX, GRACE_S_MAX
from hawse.domain.policy import POLICIES, SECONDS_MAX
from hawse.domain.session import DESCRIPTION_LENGTH_MAX, LABEL_LENGTH_MAX, LABELS_MAX
from hawse.services.order import SIZE_MAX

_NO_NUL = r"^[^\x00]*$"  # no database takes a NUL in a text
_NAME = {"minLength": 1, "maxLength": NAME_LENGTH_MAX, "pattern": f"^{NAME_PATTERN}$"}
_ID = {"minLength": 36, "maxLength": 36, "pattern": r"^[0-9a-f-]*$"}

Name = Annotated[str, Meta(extra_json_schema=_NAME)]
Id = Annotated[str, Meta(extra_json_schema=_ID)]
Description = Annotated[str, Meta(max_length=DESCRIPTION_LENGTH_MAX, extra_json_schema={"pattern": _NO_NUL})]
Label = Annotated[str, Meta(max_length=LABEL_LENGTH_MAX, extra_json_schema={"pattern": _NO_NUL})]
Labels = Annotated[dict[Name, Label], Meta(max_length=LABELS_MAX)]
Where = Annotated[str, Meta(max_length=limits.WHERE_LENGTH_MAX, extra_json_schema={"pattern": _NO_NUL})]
Text = Annotated[str, Meta(max_length=limits.TEXT_LENGTH_MAX, extra_json_schema={"pattern": _NO_NUL})]
Argv = Annotated[list[Text], Meta(min_length=1, max_length=limits.ARGV_MAX)]
Env = Annotated[dict[Text, Text], Meta(max_length=limits.ENV_MAX)]
Cells = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
PolicyName = Annotated[str, Meta(extra_json_schema={"enum": list(POLICIES)})]
PolicyValue = str | float | list[float]
GraceS = Annotated[float, Meta(ge=0, le=GRACE_S_MAX)]
Seconds = Annotated[float, Meta(gt=0, le=SECONDS_MAX)]
Time = Annotated[float, Meta(ge=0, le=limits.TIME_MAX)]
Policies = Annotated[dict[PolicyName, PolicyValue | None], Meta(max_length=len(POLICIES))]
Umask = Annotated[int, Meta(ge=0, le=0o777)]
Count = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
SignalName = Annotated[str, Meta(min_length=1, max_length=20, extra_json_schema={"pattern": r"^[A-Za-z0-9+-]*$"})]


class Terminal(Struct, forbid_unknown_fields=True):
    """A terminal's size in character cells; 0: 80 by 24."""

    columns: Cells
    rows: Cells


class JobSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to run. encoding base64: argv, env (names and values) and cwd are base64 of their bytes.

    on_error: when it fails; null: what the session's policies say. retries_max: how often "restart" starts it again.
    """

    argv: Argv
    env: Env
    cwd: Text
    umask: Umask = 0o022
    encoding: Literal["utf-8", "base64"] = "utf-8"
    name: Name | None = None
    tty: Terminal | None = None
    stdin: Literal["null", "open"] = "null"
    on_lost: Literal["report", "restart"] = "report"
    grace_s: GraceS | None = None
    log_on_full: Literal["block", "drop"] = "block"
    log_bytes_max: Count = 0
    leftovers: Literal["end", "keep"] = "end"
    on_error: Literal["report", "restart", "end"] | None = None
    retries_max: Annotated[int, Meta(ge=0, lt=ATTEMPTS_MAX)] = 0


def _of_a_path(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema's keywords as Litestar names them."""
    litestar = {"minLength": "min_length", "maxLength": "max_length"}
    return {litestar.get(keyword, keyword): value for keyword, value in schema.items()}


SessionName = Annotated[str, PathParameter(title="a session's id or alias", schema_extra=_of_a_path(_NAME))]
JobName = Annotated[str, PathParameter(title="a job's id or name", schema_extra=_of_a_path(_NAME))]
ObjectId = Annotated[str, PathParameter(title="an id", schema_extra=_of_a_path(_ID))]
Limit = Annotated[int, QueryParameter(ge=1, le=limits.PAGE_MAX, description="items in one page")]
After = Annotated[str, QueryParameter(max_length=36, description="`next` of the page before")]
WaitS = Annotated[float, QueryParameter(ge=0, le=limits.WAIT_S_MAX, description="seconds to wait (long poll)")]
QueryGraceS = Annotated[
    float | None, QueryParameter(ge=0, le=GRACE_S_MAX, description="seconds between SIGTERM and SIGKILL")
]
Reason = Annotated[str, QueryParameter(max_length=limits.REASON_LENGTH_MAX, description="why; kept in the history")]
FirstSeq = Annotated[
    int, QueryParameter(name="from", ge=0, le=limits.INTEGER_MAX, description="number of the first event wanted")
]
