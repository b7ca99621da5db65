"""The start of the command line: it prints the version before anything is imported that takes time."""

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from hierarchy.backends import Backend

ENDED = (129, 130, 143)  # exit codes after signals


def run() -> "NoReturn":
    """Run a command, and end the process."""
    end(main())


def end(code: int) -> "NoReturn":
    """End the process with the exit code of a command.

    After a signal no thread is waited for: one that imports may wait for ever, if the signal came in the
    middle of an import, whose lock is then left locked (Python 3.11).
    """
    if code not in ENDED:
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # none, full, closed
            continue
    os._exit(code)


def main(backend: "Backend | None" = None) -> int:
    """Run a command and give its exit code, as `application.main`."""
    if sys.argv[1:] == ["--version"] and _print_version():
        return 0
    try:
        from hierarchy.cli import application
    except KeyboardInterrupt:  # Ctrl-C before there is a command
        return 130
    return application.main(backend)


def _print_version() -> bool:
    """Print the version; whether stdout took it."""
    from hierarchy import __version__

    try:
        print(f"two-tier-expressions {__version__}", flush=True)  # errors.DISTRIBUTION
    except OSError:  # which the command line words
        return False
    return True
