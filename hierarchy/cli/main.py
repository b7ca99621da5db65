"""The start of the command line: it prints the version before anything is imported that takes time."""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hierarchy.backends import Backend


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
