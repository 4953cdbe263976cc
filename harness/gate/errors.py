"""What ends a gate before it has anything to decide."""


class GateError(Exception):
    """A gate can't be held as asked, as one sentence."""
