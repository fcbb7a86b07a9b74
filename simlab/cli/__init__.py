"""The command line: the one room, with conf/, that knows Hydra. Settings leave it as frozen dataclasses."""
