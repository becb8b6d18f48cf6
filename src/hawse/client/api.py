"""The synchronous Python API in one place: what `hawse.open` and `hawse.connect` are, and the classes they give."""

from hawse.client._sync.attachment import Attachment
from hawse.client._sync.face import connect, open_session
from hawse.client._sync.job import Job
from hawse.client._sync.notices import Notices
from hawse.client._sync.server import Server
from hawse.client._sync.session import Session

__all__ = ["Attachment", "Job", "Notices", "Server", "Session", "connect", "open_session"]
