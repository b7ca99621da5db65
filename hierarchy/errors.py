"""The one exception that means "the input is at fault, not the program"."""


class InputError(ValueError):
    """Something a person gave cannot be used; the message is one line: where, what, and what is allowed.

    The command line prints the message and exits with code 2. Anything else that escapes is a fault of ours.
    """


class NotFittedError(InputError, AttributeError):
    """A classifier is asked before it was fitted or loaded (the bases are those of scikit-learn's own)."""
