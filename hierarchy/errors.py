"""The exception for unusable input, and the place it names."""

from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """Input that cannot be used; the message is one line: path or key, reason, expected values.

    The command line prints the message and exits with code 2. Any other exception that escapes is a bug.
    """


def first_line(error: BaseException) -> str:
    """First line of another library's error message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Prefix every InputError raised inside with `place`, such as a file and line."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


class NotFittedError(InputError, AttributeError):
    """A classifier is used before fit or load; the bases are those of scikit-learn's exception."""
