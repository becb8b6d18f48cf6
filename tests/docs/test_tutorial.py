"""The tutorial is true: every command of it, in a real shell on a terminal, shows what the page says."""

import pytest
from docpage import ROOT, read


@pytest.mark.requirement("S0.2", "S0.3", "S0.4", "S4.1", "S4.2")
@pytest.mark.timeout(240)
def test_the_tutorial_shows_what_it_says(reader):
    differences = reader.follow(read(ROOT / "docs" / "tutorial.md"))
    assert not differences, "\n\n".join(differences)
