"""Orchestration: plans, runs, accounting, verdicts, storage, and the `echobench` command."""
