"""`python -m hawse.cli`."""

from hawse.cli.main import main

main()
