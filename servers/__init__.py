"""The measured object: one echo service in several concurrency models. Standard library only."""
