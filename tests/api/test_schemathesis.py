"""The OpenAPI document against the service that it describes, as Schemathesis sees it."""

import asyncio
import importlib.util
import os
import sys

import pytest

LEFT_OUT = (
    "positive_data_acceptance",  # a schema can't say that a signal exists or that an If-Match is the present one
    "use_after_free",  # what has ended stays readable: that is the product
    "ensure_resource_availability",
)


async def bridged(reader, writer, path):
    """One TCP connection to the socket: Schemathesis speaks TCP."""
    other = await asyncio.open_unix_connection(path)

    async def copy(source, target):
        try:
            while data := await source.read(65536):
                target.write(data)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()

    await asyncio.gather(copy(reader, other[1]), copy(other[0], writer))


@pytest.mark.timeout(180)
def test_schemathesis_finds_nothing(rest, tmp_path):
    if importlib.util.find_spec("schemathesis") is None:
        if os.environ.get("CI"):
            pytest.fail("schemathesis is missing", pytrace=False)
        pytest.skip("schemathesis is missing")
    (tmp_path / "schemathesis.toml").write_text("[parameters]\nwait_s = 0\n")

    async def main():
        async with rest.stage() as stage:
            server = await asyncio.start_server(lambda r, w: bridged(r, w, stage.path), "127.0.0.1", 0)
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/schema/openapi.json"
            words = [
                "run",
                url,
                "--max-examples",
                "15",
                "--seed",
                "1",
                "--checks",
                "all",
                "--exclude-checks",
                ",".join(LEFT_OUT),
                "--exclude-operation-id",
                "list_events",
                "--request-timeout",
                "10",
            ]
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "schemathesis.cli",
                *words,
                cwd=tmp_path,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            said = (await process.communicate())[0].decode()
            server.close()
            assert process.returncode == 0, said
            assert not [line for line in stage.lines if line["status"] == 500]
            assert len(stage.lines) > 300

    rest.run(main(), timeout_s=170)
