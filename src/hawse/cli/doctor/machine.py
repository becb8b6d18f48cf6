"""The machine: places, disk, limits, cgroups, locale, terminal programs."""

from __future__ import annotations

import locale
import os
import resource
import shutil
import sys

from hawse.cli.doctor.finding import BAD, GOOD, NOTE, Finding
from hawse.cli.words import size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hawse.domain.places import Places

ROOM_BYTES_MIN = 1 << 30  # a job that prints fills less in minutes
FILES_MIN = 4096  # a coordinator needs about three descriptors for each living job


def places_findings(where: Places) -> list[Finding]:
    """State and runtime directory: there, ours alone, with room."""
    from hawse.client.places import check_private, check_runtime
    from hawse.domain.errors import Denied

    found = []
    for subject, path in (("state", where.state), ("runtime", where.runtime)):
        try:
            if subject == "runtime":
                check_runtime(where)
            else:
                check_private(path, what="the state directory", variable="HAWSE_STATE_DIR")
            found.append(Finding(subject, GOOD, f"{path} is yours alone", path=path))
        except FileNotFoundError:
            found.append(Finding(subject, GOOD, f"{path} does not exist yet; it is made when needed", path=path))
        except Denied as error:
            found.append(Finding(subject, BAD, error.detail, advice=error.next_step, path=path))
        except OSError as error:
            found.append(Finding(subject, BAD, f"{path}: {error.strerror}", path=path))
    found.append(_room(where.state))
    kind = _file_system(where.state)
    if kind in ("nfs", "nfs4", "cifs", "fuse.sshfs", "lustre", "gpfs", "afs"):
        text = f"{where.state} is on a network file system ({kind}); SQLite's locks are not reliable there"
        advice = "set HAWSE_STATE_DIR to a local directory, or use PostgreSQL"
        found.append(Finding("file system", BAD, text, advice=advice, kind=kind))
    return found


def _room(path: str) -> Finding:
    here = path
    while not os.path.exists(here):
        here = os.path.dirname(here)
    usage = shutil.disk_usage(here)
    text = f"{size(usage.free)} of {size(usage.total)} are free for logs in {path}"
    if usage.free >= ROOM_BYTES_MIN:
        return Finding("disk", GOOD, text, free_bytes=usage.free)
    room = "make room" if usage.free < usage.total / 2 else "use a larger disk"
    advice = f"{room}: a full disk makes jobs wait (or drop output, with --log-on-full drop)"
    return Finding("disk", NOTE, text, advice=advice, free_bytes=usage.free)


def _file_system(path: str) -> str:
    """The type of the file system that holds a path. Source: proc(5), /proc/self/mounts."""
    best, kind = "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                _, at, found, *_ = line.split(" ")
                at = at.replace("\\040", " ")
                if len(at) >= len(best) and (path == at or path.startswith(at.rstrip("/") + "/")):
                    best, kind = at, found
    except (OSError, ValueError):
        pass
    return kind


def limit_findings() -> list[Finding]:
    """Open files, as the coordinator can raise them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    text = f"open files: {soft}, at most {most}; the coordinator takes the most"
    if hard == resource.RLIM_INFINITY or hard >= FILES_MIN:
        return [Finding("limits", GOOD, text, soft=soft, hard=hard)]
    advice = f"about {hard // 4} jobs at once are possible; raise nofile in /etc/security/limits.conf"
    return [Finding("limits", NOTE, text, advice=advice, soft=soft, hard=hard)]


def cgroup_findings(root: str = "/", *, process: int | str = "self") -> list[Finding]:
    """Can a job get a cgroup of its own? It helps to find every process that a job left behind.

    process: the coordinator, whose cgroup is the one that counts; without one, ourselves.
    """
    base = os.path.join(root, "sys/fs/cgroup")
    if not os.path.exists(os.path.join(base, "cgroup.controllers")):
        text = "no cgroup v2 here; what a job leaves behind is found by process group and subreaper"
        return [Finding("cgroup", NOTE, text, version=1 if os.path.isdir(base) else 0)]
    try:
        with open(os.path.join(root, f"proc/{process}/cgroup"), encoding="ascii") as file:
            own = next((line.strip().partition("::")[2] for line in file if line.startswith("0::")), "/")
    except OSError:
        own = "/"
    path = base + own.rstrip("/")
    if os.access(path, os.W_OK) and os.access(f"{path}/cgroup.procs", os.W_OK):
        return [Finding("cgroup", GOOD, f"jobs can have cgroups of their own below {own}", version=2, path=path)]
    text = "cgroup v2 is there, but not delegated to you; leftovers are found by process group and subreaper"
    return [Finding("cgroup", NOTE, text, version=2, path=path)]


def locale_findings() -> list[Finding]:
    """UTF-8, or not."""
    coding = locale.getpreferredencoding(False) if not sys.flags.utf8_mode else "utf-8"
    name = os.environ.get("LC_ALL") or os.environ.get("LC_CTYPE") or os.environ.get("LANG") or "not set"
    text = f"locale {name}, {coding}"
    if coding.lower().replace("-", "") == "utf8":
        return [Finding("locale", GOOD, text)]
    return [
        Finding("locale", NOTE, text, advice="programs draw lines and letters better with a UTF-8 locale: LANG=C.UTF-8")
    ]


def engine_findings() -> list[Finding]:
    """Compiled parts, Python, and what optional parts are there."""
    from importlib.util import find_spec

    from hawse import __version__
    from hawse.cli.attach.engine import ENGINE as engine

    version = ".".join(map(str, sys.version_info[:3]))
    found = [Finding("hawse", GOOD, f"version {__version__}, Python {version}, {sys.executable}", version=__version__)]
    if engine == "compiled":
        found.append(Finding("engine", GOOD, "compiled", engine=engine))
    else:
        advice = "for a faster terminal: install a C compiler and Python's headers, then make install"
        found.append(
            Finding("engine", NOTE, "pure Python; everything works, echo takes longer", advice=advice, engine=engine)
        )
    has_pg = find_spec("psycopg") is not None
    text = "PostgreSQL can be used" if has_pg else "PostgreSQL needs the extra: pip install 'hawse[pg]'"
    found.append(Finding("extras", GOOD, text, pg=has_pg))
    return found
