"""`python -m bench`."""

from bench.cli.main import main

main()
