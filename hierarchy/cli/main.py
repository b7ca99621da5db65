"""The command line: only the module of the named command is imported."""

import codecs
import errno
import importlib
import io
import itertools
import logging
import os
import sys
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hierarchy.cli.options import COMMANDS, renamed
from hierarchy.cli.shared import Quiet, Verbose, with_shared_options
from hierarchy.errors import DISTRIBUTION, InputError, not_installed

if TYPE_CHECKING:
    from hierarchy.backends import Backend

FLAGS: Final = ("--quiet", "-q", "--verbose", "-v")
log = logging.getLogger(__name__)


def _print_version(asked: bool) -> None:
    if asked:
        from hierarchy import version

        print(f"{DISTRIBUTION} {version()}")
        raise typer.Exit


def _every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Two-tier classifier of apparent facial expressions."""


def application(command: str | None = None) -> typer.Typer:
    """The application with one command, or with all of them."""
    app = typer.Typer(
        help="Two-tier classifier of apparent facial expressions.",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )
    app.callback()(_every_command)  # without a callback a single command would lose its name
    for name in (command,) if command in COMMANDS else COMMANDS:
        command_or_group = getattr(importlib.import_module(f"hierarchy.cli.{name}"), name)
        if isinstance(command_or_group, typer.Typer):
            app.add_typer(_with_shared_options(command_or_group), name=name)
        else:
            app.command(name)(with_shared_options(command_or_group))
    return app


def _with_shared_options(group: typer.Typer) -> typer.Typer:
    """A group of the same commands with the options of every command; the given one stays as it is."""
    copy = typer.Typer(help=group.info.help)
    for command in group.registered_commands:
        if command.callback:
            copy.command(command.name)(with_shared_options(command.callback))
    return copy


def log_to_stderr() -> None:
    """Send the package's log messages to stderr, one line each, without a prefix."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    package = logging.getLogger("hierarchy")
    package.handlers[:] = [handler]
    package.setLevel(logging.INFO)


def main(backend: "Backend | None" = None) -> int:
    """Run a command; the exit code is 0 for success, 2 for bad input, 130 for Ctrl-C, 1 for a bug."""
    # click's UsageError, which typer does not export
    usage_error: type[Exception] = typer.BadParameter.__bases__[0]
    if isinstance(sys.stdout, io.TextIOWrapper):
        # file names may hold bytes that are not valid UTF-8, and characters that the terminal lacks
        utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    log_to_stderr()
    arguments = sys.argv[1:] or ["--help"]
    flags = list(itertools.takewhile(FLAGS.__contains__, arguments))  # they may stand before the command
    named = renamed(arguments[len(flags) :])
    try:
        app = application(named[0] if named else None)
        return app(args=[*flags, *named], standalone_mode=False, obj=backend) or 0
    except InputError as error:
        log.error(f"error: {error}")
        return 2
    except usage_error as error:
        log.error(f"error: {error.format_message()} (see --help)")  # type: ignore[attr-defined]
        return 2
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith(__package__.partition(".")[0]):
            raise
        log.error(f"error: {not_installed(error.name)}")
        return 2
    except (KeyboardInterrupt, typer.Abort):
        return 130
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        sys.stdout = open(os.devnull, "w")  # the rest of the old one cannot be written either
        log.error(f"error: the output cannot be written ({error.strerror})")
        return 2
