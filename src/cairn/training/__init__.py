"""Training from a recipe: engine, data, automatic configuration, backbones, checkpoints and export.

`recipe` holds the settings of a run, `run_folder` names the files of a run, and `method` declares what the engine
needs of a method.
"""

import os

os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")  # torch reads it once; huge pages make a step on a CPU 12 % faster
