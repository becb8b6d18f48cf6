"""daemons/site.py: every key, and each way in which a configuration is wrong, with its line."""

from pathlib import Path

import pytest

from hawse.daemons.site import KEYS, read_site
from hawse.domain.errors import Invalid

GOOD = """\
state_dir = "/var/lib/hawse"
runtime_dir = "/run/hawse/private"

[unix]
path = "/run/hawse/hawse.sock"
mode = "0660"
group = "users"

[site]
local_accounts = true
admins = [0, 1000]
token_days_max = 90

[limits]
connections_max = 2000
lease_s_max = 86400

[log]
file = "/var/log/hawse/coordinator.log"
bytes_max = 1048576
"""


@pytest.fixture
def write(tmp_path):
    def written(text):
        path = tmp_path / "site.toml"
        path.write_text(text)
        return str(path)

    return written


def test_a_good_one(write):
    found = read_site(write(GOOD))
    assert (found.state, found.runtime, found.store) == ("/var/lib/hawse", "/run/hawse/private", "sqlite")
    assert found.unix is not None
    assert (found.unix.path, found.unix.mode, found.unix.group) == ("/run/hawse/hawse.sock", 0o660, "users")
    assert found.https is None
    assert found.local_accounts
    assert found.admins == {0, 1000}
    assert (found.token_days_max, found.connections_max, found.lease_s_max) == (90, 2000, 86400)
    assert found.places.socket == "/run/hawse/private/coordinator.sock"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('state_dir = "/var/lib/hawse"\n', "", "state_dir is missing"),
        ('state_dir = "/var/lib/hawse"', 'state_dir = "lib"', "line 1: state_dir is an absolute path"),
        ("[unix]", "[unx]", "line 4: unx is no table of ours; did you mean unix?"),
        ('mode = "0660"', "mode = 660", 'line 6: [unix] mode is a mode in octal, as a text: "0660"'),
        ('mode = "0660"', 'mode = "0066"', "line 6: [unix] mode must let the service itself write"),
        ('mode = "0660"', 'mod = "0660"', "line 6: [unix] mod is not known; did you mean mode?"),
        ('path = "/run/hawse/hawse.sock"\n', "", "line 4: [unix] needs path"),
        ('path = "/run/hawse/hawse.sock"', f'path = "/{"x" * 120}"', "line 5: [unix] path has more than 107 bytes"),
        ("/run/hawse/hawse.sock", "/run/hawse/private/x", "line 5: [unix] path is not in runtime_dir"),
        ("local_accounts = true", 'local_accounts = "yes"', "line 10: [site] local_accounts is true or false"),
        ("admins = [0, 1000]", 'admins = ["root"]', "line 11: [site] admins is a list of numbers of users"),
        (
            "token_days_max = 90",
            "token_days_max = 0",
            "line 12: [site] token_days_max is a whole number from 1 to 36500",
        ),
        ("connections_max = 2000", "connections_max = true", "line 15: [limits] connections_max is a whole number"),
        ("[log]", "[log", "is not TOML"),
        ("[log]", "[[log]]", "line 18: log is a table: [log]"),
        ("[site]", '[https]\naddress = "x"\n[site]', "line 10: [https] address is HOST:PORT"),
        ("[site]", '[https]\naddress = "h:70000"\n[site]', "line 10: [https] address is HOST:PORT"),
        ("[site]", '[https]\naddress = "h:1"\n[site]', "line 9: [https] needs certificate, key"),
        ("[site]", '[store]\nurl = "postgresql://u:s3cret@h/d"\n[site]', 'line 10: [store] url is "sqlite"'),
        ("[site]", '[store]\nurl_env = "NOT_SET"\n[site]', "line 10: [store] url_env names the variable NOT_SET"),
        ("[site]", '[store]\nurl_file = "/nowhere"\n[site]', "line 10: [store] url_file names /nowhere"),
        ("[site]", '[store]\nurl = "sqlite"\nurl_env = "X"\n[site]', "line 11: [store] url_env and url are two stores"),
        ("[site]", '[jobs]\nrun_dir = "/r"\n[site]', "line 9: [jobs] needs helper"),
        ('runtime_dir = "/run/hawse/private"', f'runtime_dir = "/{"r" * 90}"', "line 2: runtime_dir has more than"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(write, old, new, words):
    assert old in GOOD
    with pytest.raises(Invalid) as caught:
        read_site(write(GOOD.replace(old, new, 1)), {})
    assert words in caught.value.detail
    assert "s3cret" not in caught.value.detail + caught.value.next_step


def test_something_must_be_listened_on(write):
    with pytest.raises(Invalid, match="nothing is listened on"):
        read_site(write(GOOD[: GOOD.index("[unix]")]))


def test_bytes_that_are_no_text_and_files_that_are_not_there(tmp_path):
    path = tmp_path / "site.toml"
    path.write_bytes(b'state_dir = "/x"\n# \xff\n')
    with pytest.raises(Invalid, match="line 2: this is not UTF-8"):
        read_site(str(path))
    with pytest.raises(Invalid, match="cannot be read: No such file"):
        read_site(str(tmp_path / "absent"))
    path.write_bytes(b"#" * 300_000)
    with pytest.raises(Invalid, match="more than 262144 bytes"):
        read_site(str(path))


def test_the_store_s_address_is_read_and_never_shown(write, tmp_path):
    secret = tmp_path / "store"
    secret.write_text("postgresql://u:s3cret@h/d\n")
    text = GOOD.replace("[site]", f'[store]\nurl_file = "{secret}"\n[site]')
    secret.chmod(0o644)
    with pytest.raises(Invalid, match="can be read by everybody: chmod 600"):
        read_site(write(text))
    secret.chmod(0o600)
    found = read_site(write(text))
    assert found.store == "postgresql://u:s3cret@h/d"
    assert "s3cret" not in repr(found)
    found = read_site(
        write(GOOD.replace("[site]", '[store]\nurl_env = "S"\n[site]')), {"S": "postgresql://u:s3cret@h/d"}
    )
    assert found.store == "postgresql://u:s3cret@h/d"
    secret.write_text("mysql://u:s3cret@h/d\n")
    with pytest.raises(Invalid) as caught:
        read_site(write(text))
    assert "must lead to a text that begins with postgresql://" in caught.value.detail
    assert "s3cret" not in caught.value.detail


def test_a_key_that_everybody_can_read_is_refused(write, tmp_path):
    key = tmp_path / "key"
    key.write_text("x")
    key.chmod(0o644)
    text = GOOD.replace("[site]", f'[https]\naddress = "h:1"\ncertificate = "/c"\nkey = "{key}"\n[site]')
    with pytest.raises(Invalid, match=r"line 12: .https. key can be read by everybody: chmod 600"):
        read_site(write(text))
    key.chmod(0o640)  # a group that manages certificates is usual
    assert read_site(write(text)).https is not None


def test_every_key_is_in_the_how_to():
    page = (Path(__file__).parents[2] / "docs" / "how-to" / "site-service.md").read_text()
    missing = [f"{table}.{name}" for table, names in KEYS.items() for name in names if f"`{name}`" not in page]
    assert not missing
