"""The Python API: one function for each verb of the command line, and the objects that they return."""
