"""Files in JSON, XML, YAML, HDF5, MATLAB's format and plain text, read safely: the containers of label formats.

Damaged and hostile files end in a one-line error, within bounded time and memory: `trial` reads them in another process
first, and `expansion` bounds values that stand in several places. Nothing here knows about labels.
"""
