"""The one exception that means "the input is at fault, not the program"."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Something a person gave cannot be used; the message is one line: where, what, and what is allowed.

    The command line prints the message and exits with code 2. Anything else that escapes is a fault of ours.
    """


def first_line(error: BaseException) -> str:
    """What another library's error says, cut to a line."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Whatever is refused inside is refused with the place, such as a file and line, before the reason."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


class NotFittedError(InputError, AttributeError):
    """A classifier is asked before it was fitted or loaded (the bases are those of scikit-learn's own)."""
