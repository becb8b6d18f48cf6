"""client/who.py: names of users and groups as principals."""

import grp
import pwd

import pytest

from hawse.client.who import name_of, principal_of
from hawse.domain.errors import Invalid, NotFound


@pytest.mark.requirement("S7.1")
def test_names_of_this_machine_and_principals():
    root, group = pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name
    assert principal_of(root) == "uid:0"
    assert principal_of(f"@{group}") == f"group:{group}"
    for text in ("uid:77", "user:ada@example.org", "group:elsewhere"):
        assert principal_of(text) == text
    assert name_of("uid:0") == f"{root} (uid:0)"
    assert (name_of("uid:64999"), name_of("group:staff"), name_of("user:ada")) == ("uid:64999", "@staff", "user:ada")
    assert name_of("uid:99999999999999999999") == "uid:99999999999999999999"


@pytest.mark.parametrize("text", ["roott", "@roott", "no such user", "", "@", "a\0b"])
def test_who_is_unknown_is_told(text):
    with pytest.raises(NotFound, match="this machine has no"):
        principal_of(text)


@pytest.mark.parametrize("text", ["team:x", "uid:", ":x"])
def test_what_names_nobody(text):
    with pytest.raises(Invalid, match="names nobody"):
        principal_of(text)
