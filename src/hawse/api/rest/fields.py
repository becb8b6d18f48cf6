"""The types of request fields: every text, list and count with its limit."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar.params import PathParameter, QueryParameter
from msgspec import Meta, Struct

from hawse.api.rest import limits
from hawse.domain.ids import NAME_LENGTH_MAX
from hawse.domain.job import GRACE_S_MAX
from hawse.domain.session import DESCRIPTION_LENGTH_MAX, LABEL_LENGTH_MAX, LABELS_MAX
from hawse.services.order import SIZE_MAX

_NO_NUL = r"^[^\x00]*$"  # no database takes a NUL in a text
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"

Name = Annotated[str, Meta(min_length=1, max_length=NAME_LENGTH_MAX, pattern=_NAME)]
Id = Annotated[str, Meta(min_length=36, max_length=36, pattern=r"^[0-9a-f-]*$")]
Description = Annotated[str, Meta(max_length=DESCRIPTION_LENGTH_MAX, pattern=_NO_NUL)]
Label = Annotated[str, Meta(max_length=LABEL_LENGTH_MAX, pattern=_NO_NUL)]
Labels = Annotated[dict[Name, Label], Meta(max_length=LABELS_MAX)]
Where = Annotated[str, Meta(max_length=limits.WHERE_LENGTH_MAX, pattern=_NO_NUL)]
Text = Annotated[str, Meta(max_length=limits.TEXT_LENGTH_MAX, pattern=_NO_NUL)]
Argv = Annotated[list[Text], Meta(min_length=1, max_length=limits.ARGV_MAX)]
Env = Annotated[dict[Text, Text], Meta(max_length=limits.ENV_MAX)]
Cells = Annotated[int, Meta(ge=0, le=SIZE_MAX)]
GraceS = Annotated[float, Meta(ge=0, le=GRACE_S_MAX)]
Umask = Annotated[int, Meta(ge=0, le=0o777)]
Count = Annotated[int, Meta(ge=0, le=limits.INTEGER_MAX)]
SignalName = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"^[A-Za-z0-9+-]*$")]


class Terminal(Struct, forbid_unknown_fields=True):
    """A terminal's size in character cells; 0: 80 by 24."""

    columns: Cells
    rows: Cells


class JobSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """What to run. encoding base64: argv, env (names and values) and cwd are base64 of their bytes."""

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


SessionName = Annotated[
    str, PathParameter(title="a session's id or alias", min_length=1, max_length=NAME_LENGTH_MAX, pattern=_NAME)
]
JobName = Annotated[
    str, PathParameter(title="a job's id or name", min_length=1, max_length=NAME_LENGTH_MAX, pattern=_NAME)
]
ObjectId = Annotated[str, PathParameter(title="an id", min_length=36, max_length=36, pattern="^[0-9a-f-]*$")]
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
