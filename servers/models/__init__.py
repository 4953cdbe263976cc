"""Concurrency models, one file each; a file's name is the model's name on the command line (see registry.py)."""
