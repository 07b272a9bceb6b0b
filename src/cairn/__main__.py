"""Runs the command line: `python -m cairn` is the same as `cairn`."""

from cairn.cli import main

if __name__ == "__main__":
    main()
