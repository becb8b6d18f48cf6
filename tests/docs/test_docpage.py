"""The reader of pages: what it takes for the same, and what it must not."""

from docpage import is_like, key, read


def page(tmp_path, text):
    path = tmp_path / "page.md"
    path.write_text(text)
    return read(path)


def test_commands_output_keys_and_files_are_told_apart(tmp_path):
    made = page(tmp_path, """# T
```console
$ one
shown
$ two \\
>   more
```
Press <kbd>Ctrl-\\</kbd> <kbd>d</kbd>.
```console
left
```
```python title="a.py"
1
```
<!-- skip: needs root -->
```console
$ never
```
<!-- a new window -->
```sh
only read
```
""")
    assert [(step.kind, step.text, step.shown) for step in made.steps] == [
        ("type", "one", ["shown"]), ("type", "two \\\n  more", []), ("press", "\x1cd", ["left"]),
        ("file", "a.py", ["1"]), ("close", "a new window", []),
    ]  # fmt: skip
    assert [step.goes_on for step in made.steps] == [False, True, False, True, False]
    assert made.other == [("console", "$ never"), ("sh", "only read")]


def test_what_is_different_each_time_is_the_same(tmp_path):
    made = page(tmp_path, "<!-- varies: line \\d+ -->\n")
    one = ["a  01a208a8-ae6c-724d-8591-682d9be17f96  2026-11-23 13:46:42, 3s ago", "line 4 at process 12, 6.6 KiB"]
    two = ["a    01a208a9-aaaa-724d-8591-682d9be17f96  2027-01-02 03:04:05, 2h 5m ago", "line 70 at process 99, 12 B"]
    assert made.plain(one) == made.plain(two)


def test_a_changed_word_or_number_is_a_difference(tmp_path):
    made = page(tmp_path, "")
    assert made.plain(["sh: exit code 3"]) != made.plain(["sh: exit code 4"])
    assert made.plain(["hawse has ended"]) != made.plain(["hawse ended"])


def test_an_ellipsis_stands_for_any_lines_but_only_there():
    seen = ["a", "b", "c", "d"]
    for wanted in (seen, ["", *seen, ""], ["a", "...", "d"], ["...", "c", "..."], ["...", "d"], ["a", "..."], ["..."]):
        assert is_like(wanted, seen), wanted
    for wanted in (seen[:3], ["...", "c"], ["b", "..."], ["a", "...", "x", "...", "d"], [*"abc", "...", "c", "d"], []):
        assert not is_like(wanted, seen), wanted


def test_keys_are_what_a_terminal_sends():
    assert (key("Ctrl-\\"), key("Ctrl-C"), key("d"), key("Enter")) == ("\x1c", "\x03", "d", "\r")
