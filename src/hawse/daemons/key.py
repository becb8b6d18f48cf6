"""The coordinator's key, for keyed hashes of links and tokens: 32 random bytes in a file that only its user reads."""

from __future__ import annotations

import os
import stat

from hawse.domain.errors import Broken, Denied, Unavailable

KEY_BYTES = 32


def kept_key(path: str) -> bytes:
    """The key in this file, which is made when there is none. Without it, links that were given out open nothing.

    Raises Denied (others may read or write it, or it is a link), Broken (it holds something else), Unavailable.
    """
    try:
        return _read(path)
    except FileNotFoundError:
        _make(path)
    return _read(path)


def _make(path: str) -> None:
    """Whole or not at all: written beside, then linked to its name; who is faster wins."""
    aside = f"{path}.{os.getpid()}"
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, os.urandom(KEY_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(aside)
    except OSError as error:
        raise Unavailable(f"{path} can't be made: {error.strerror}") from error


def _read(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Denied(f"{path} can't be read: {error.strerror}", next_step=f"ls -l {path}") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
            raise Denied(f"{path} is not yours alone", next_step=f"chown and chmod 600 {path}")
        key = os.read(descriptor, KEY_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(key) != KEY_BYTES:
        raise Broken(
            f"{path} does not hold {KEY_BYTES} bytes",
            next_step="restore it, or remove it: links must be made anew then",
        )
    return key
