"""The Python API: one function per command of the command line."""
