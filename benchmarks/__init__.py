"""What needs a quiet machine: ratios of alternating runs, pinned on both sides. Never part of the test run."""
