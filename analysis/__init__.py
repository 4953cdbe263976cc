"""Reads stored runs, and only those: frames, statistics, figures, report."""
