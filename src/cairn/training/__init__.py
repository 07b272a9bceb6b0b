"""Training from a recipe: engine, data, automatic configuration, backbones, checkpoints and export.

`recipe` holds the settings of a run, `run_folder` names the files of a run, and `method` declares what the engine
needs of a method.
"""
