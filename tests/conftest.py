"""What all tests share: examples that are made up are the same at every run, and none is judged by its time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")
