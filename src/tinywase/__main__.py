"""`python -m tinywase`."""

from .cli.main import main

main()
