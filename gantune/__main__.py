"""``python -m gantune``: the command line."""

from gantune.cli import main

main()
