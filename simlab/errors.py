"""Mistakes a user can mend: each is one line that names the value and the mend."""


class SimlabError(ValueError):
    """A mistake in the input. The command line prints its message as one line and exits with code 2."""
