"""The receiver of the page "be told": it takes what hawse signs, and nothing else, whatever comes."""

import base64
import time
from typing import Any

import pytest
from docpage import ROOT
from hypothesis import given
from hypothesis import strategies as st

from hawse.adapters.notify.webhook import signature
from hawse.domain.channel import shown_secret

KEY = b"k" * 32
BODY = b'{"id": "x", "subject": "train/main failed"}'
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
HEADERS = st.text(st.characters(max_codepoint=255), max_size=100)  # what http.server makes of a header's bytes


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The page's receiver.py as a module, with our key."""
    page = (ROOT / "docs" / "how-to" / "be-told.md").read_text(encoding="utf-8")
    source = page.partition('```python title="receiver.py"\n')[2].partition("```")[0]
    assert 15 < len(source.splitlines()) < 40
    folder = tmp_path_factory.mktemp("example")
    (folder / "key.txt").write_text(shown_secret(KEY) + "\n")
    names: dict[str, Any] = {"__name__": "receiver"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        exec(compile(source, "receiver.py", "exec"), names)
    return names["is_genuine"]


def test_what_hawse_signs_is_taken_for_five_minutes(example: Any) -> None:
    now = int(time.time())
    for at, is_fine in ((now, True), (now - 200, True), (now + 200, True), (now - 400, False), (now + 400, False)):
        assert example(ID, str(at), signature(KEY, ID, at, BODY), BODY) is is_fine
    assert not example(ID, str(now), signature(b"another key" * 3, ID, now, BODY), BODY)


@given(st.sampled_from(["id", "timestamp", "signature", "body"]), HEADERS, st.binary(max_size=200))
def test_anything_that_was_changed_is_refused(example: Any, what: str, text: str, data: bytes) -> None:
    now = int(time.time())
    said = {"id": ID, "timestamp": str(now), "signature": signature(KEY, ID, now, BODY), "body": BODY}
    changed = said | {what: data if what == "body" else text}
    assert example(**changed) is (changed == said)


@given(st.integers(0, 10_000))
def test_a_flipped_bit_is_refused(example: Any, bit: int) -> None:
    now = int(time.time())
    made = base64.b64decode(signature(KEY, ID, now, BODY).removeprefix("v1,"))
    at = bit % (8 * len(made))
    flipped = bytearray(made)
    flipped[at // 8] ^= 1 << at % 8
    assert not example(ID, str(now), f"v1,{base64.b64encode(flipped).decode()}", BODY)


@given(HEADERS, HEADERS, HEADERS, st.binary(max_size=500))
def test_noise_is_refused_and_breaks_nothing(example: Any, id: str, at: str, signed: str, body: bytes) -> None:
    assert example(id, at, signed, body) is False
