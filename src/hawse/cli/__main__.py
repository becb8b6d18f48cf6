"""`python -m hawse.cli`."""

from hawse.cli.entry import main

main()
