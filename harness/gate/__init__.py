"""The measuring side of the gate: is the server code of one version slower than that of another, here and now?

    command     the words of the command line, the lock, the files that are written
    arms        base and head, each a folder with its own `servers` package (or a command), ready to be started
    repository  what of that git does: commits, worktrees, uncommitted changes
    session     a trial of each arm, then round after round until each scenario needs no more
    order       who goes first in a round, in which order scenarios come, which hash seed a round has
    slots       one fresh server under one load generator, in the figures that are compared
    console     progress, on a terminal and elsewhere

Both arms are measured by the same harness and the same load generator, those of the program that runs; only the folder
in which the server is started differs. What a machine does to its programs from minute to minute is larger than what
the gate looks for, so nothing stored is ever compared: both arms are measured now, in turn, slot by slot.

Nothing in here decides. Whether a scenario needs another round, and what it all means, are functions of the rounds that
the caller hands in (`analysis.gate`): the rounds are stored, and the decision can be made again from them alone.
"""
