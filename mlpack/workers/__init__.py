"""Processes of their own for everything that runs the user's code or loads a pickle.

A worker is ``python -m mlpack.workers.NAME``. It gets a request as JSON on standard input and
answers JSON on standard output; whatever user code prints goes to standard error, where a line
that starts with `wire.MARK` is progress.
"""
