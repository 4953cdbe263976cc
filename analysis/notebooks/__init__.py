"""Notebooks that ask a run one question after the other: prose, and calls into `analysis`, nothing else."""
