"""daemons/log_file.py: gathered lines, a bound, a full disk."""

import asyncio
import json
import logging
import os

from hawse.daemons import log_file
from hawse.daemons.log_file import LogFile


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_lines_are_gathered_and_written(places):
    path = places.base / "log"

    async def main():
        log = LogFile(str(path))
        log.write({"kind": "a"})
        assert path.read_text() == ""
        for _ in range(200):
            if path.read_text():
                break
            await asyncio.sleep(0.01)
        log.write({"kind": "b"})
        log.close()
        log.close()

    asyncio.run(main())
    assert [line["kind"] for line in lines(path)] == ["a", "b"]
    assert all(line["time"] > 0 for line in lines(path))


def test_a_mistake_is_kept_with_its_traceback(places):
    path = places.base / "log"
    log = LogFile(str(path))
    logger = logging.Logger("x")
    logger.addHandler(log)
    try:
        raise RuntimeError("why")
    except RuntimeError:
        logger.exception("it %s", "broke")
    log.close()
    (line,) = lines(path)
    assert (line["level"], line["text"], line["from"]) == ("error", "it broke", "x")
    assert "RuntimeError: why" in line["traceback"]


def test_the_log_has_a_bound(places, monkeypatch):
    monkeypatch.setattr(log_file, "BYTES_MAX", 10_000)
    path = places.base / "log"
    log = LogFile(str(path))
    for n in range(2000):
        log.write({"kind": "request", "n": n, "path": "x" * 50})
    log.close()
    names = sorted(os.listdir(places.base))
    assert [name for name in names if name.startswith("log")] == ["log", "log.1", "log.2"]
    assert sum((places.base / name).stat().st_size for name in ("log", "log.1", "log.2")) < 40_000
    assert lines(path)[-1]["n"] == 1999
    told = lines(path)[0]
    assert (told["kind"], told["older"]) == ("rotated", f"{path}.1")


def test_whose_line_it_is_stands_beside_the_text(places):
    path = places.base / "log"
    log = LogFile(str(path))
    logger = logging.Logger("x")
    logger.addHandler(log)
    logger.warning("it broke", extra={"session": "s1", "job": None, "request": "r1", "color": "red"})
    logger.warning("nobody's")
    log.close()
    one, other = lines(path)
    assert (one["session"], one["request"]) == ("s1", "r1")
    assert not {"job", "color"} & set(one)
    assert not {"session", "job", "request"} & set(other)


def test_a_full_disk_loses_lines_and_says_so(places, monkeypatch):
    path = places.base / "log"
    log = LogFile(str(path))

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log_file.os, "write", full)
        for n in range(3):
            log.write({"n": n})
            log.flush()
    log.write({"n": 3})
    log.close()
    told = lines(path)
    assert [line.get("lines") for line in told] == [3, None]
    assert told[-1]["n"] == 3
