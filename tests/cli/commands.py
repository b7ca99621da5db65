"""What a command gave."""

from collections.abc import Callable
from typing import NamedTuple


class Result(NamedTuple):
    """Exit code, stdout and stderr of a command."""

    code: int
    out: str
    err: str


Command = Callable[..., Result]
