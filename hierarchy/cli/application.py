"""The command line: only the module of the named command is imported."""

import codecs
import errno
import importlib
import io
import itertools
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final

import typer

from hierarchy import __version__
from hierarchy.cli.options import COMMANDS, renamed
from hierarchy.cli.shared import TRACEBACKS, Debug, Quiet, Verbose, with_shared_options
from hierarchy.errors import DISTRIBUTION, STDERR, InputError, first_line, not_installed, printable

if TYPE_CHECKING:
    from hierarchy.backends import Backend

FLAGS: Final = ("--quiet", "-q", "--verbose", "-v", "--debug")
ENDS: Final = [number for number in signal.Signals if number.name in ("SIGTERM", "SIGHUP")]
FULL: Final = (errno.ENOSPC, errno.EFBIG)  # a disk, a file
EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EDQUOT)
ARCHIVING: Final = ("train", "evaluate", "tune", "generate")  # write zip archives, which hold dates from 1980
CLOSED: Final = 141  # exit code of programs that SIGPIPE ends
log = logging.getLogger(__name__)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"{DISTRIBUTION} {__version__}")
        raise typer.Exit


def _every_command(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    debug: Debug = False,
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
    named = (command,) if command in COMMANDS else COMMANDS
    for name in named:
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


class _Printable(logging.Formatter):
    """Escapes control characters, which names of files may hold; shows exceptions with --debug only."""

    def format(self, record: logging.LogRecord) -> str:
        keep = "" if record.levelno >= logging.ERROR else "\n\t"
        lines = [printable(record.getMessage(), keep)]
        if record.exc_info and logging.getLogger(record.name).isEnabledFor(TRACEBACKS):
            lines.append(printable(self.formatException(record.exc_info), "\n"))
        return "\n".join(lines)


def log_to_stderr() -> None:
    """Send the package's log messages to stderr, one line each, without a prefix."""
    handler = logging.StreamHandler(sys.stderr)
    handler.lock = STDERR  # no message is lost while a library is kept from stderr
    handler.setFormatter(_Printable())
    package = logging.getLogger("hierarchy")
    package.handlers[:] = [handler]
    package.setLevel(logging.INFO)
    if not (root := logging.getLogger()).handlers:  # libraries that find none give it one of their own
        root.addHandler(logging.NullHandler())


@contextmanager
def _ended_by_signals() -> Iterator[list[int]]:
    """Inside, and to the end of the process after them, SIGTERM and SIGHUP are as Ctrl-C, once.

    All three are listed. What is ignored or handled stays so.
    """
    got: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        got.append(number)
        if len(got) == 1 or number == signal.SIGINT:  # the others not in the middle of cleaning up
            raise KeyboardInterrupt

    usual = {number: signal.SIG_DFL for number in ENDS} | {signal.SIGINT: signal.default_int_handler}
    ours = [number for number, handler in usual.items() if signal.getsignal(number) == handler]
    try:
        for number in ours:
            signal.signal(number, end)
    except ValueError:  # not the main thread, which alone has handlers
        ours.clear()
    try:
        yield got
    finally:
        for number in ours:
            if number == signal.SIGINT or not got:  # the first of the others ends the process
                signal.signal(number, usual[number])


def main(backend: "Backend | None" = None) -> int:
    """Run a command and give its exit code.

    0 is success, 2 bad input, 1 a fault of ours, 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP, 141 a closed stdout.
    """
    if sys.stdout is None:  # closed before the start
        _drop_stdout()
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")
    if isinstance(sys.stdout, io.TextIOWrapper):
        # file names may hold bytes that are not valid UTF-8, and characters that the terminal lacks
        utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")
    log_to_stderr()
    with _ended_by_signals() as got:
        try:
            code = _run(sys.argv[1:] or ["--help"], backend)
            sys.stdout.flush()
        except (KeyboardInterrupt, typer.Abort):
            code = 130
        except SystemExit as error:  # click's, after a BrokenPipeError of stdout
            code = CLOSED if isinstance(error.__context__, BrokenPipeError) else int(error.code or 0)
        except Exception as error:
            # libraries that cannot import another one for Ctrl-C say that it is not installed
            code = 130 if got and isinstance(error, ImportError) else _failed(error)
        first = next((number for number in got if number != signal.SIGINT), 0)
        return 128 + first if first else code


def _run(arguments: list[str], backend: "Backend | None") -> int:
    flags = list(itertools.takewhile(FLAGS.__contains__, arguments))  # they may stand before the command
    named = renamed(arguments[len(flags) :])
    if named and named[0] in ARCHIVING and time.localtime().tm_year < 1980:
        raise InputError(f"the clock of this machine is before 1980: set it before {named[0]}")
    app = application(named[0] if named else None)
    return app(args=[*flags, *named], standalone_mode=False, obj=backend) or 0


def _failed(error: Exception) -> int:
    """Log an exception in one line, and give its exit code."""
    usage_error = typer.BadParameter.__bases__[0]  # click's UsageError, which typer does not export
    code = 2
    if isinstance(error, InputError):
        reason = str(error)
    elif isinstance(error, usage_error):
        reason = f"{error.format_message()} (see --help)"  # type: ignore[attr-defined]
    elif isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
        reason = str(not_installed(error.name or ""))
    elif isinstance(error, BrokenPipeError):
        _drop_stdout()
        return CLOSED
    elif isinstance(error, OSError) and error.errno in FULL:
        _drop_stdout()
        reason = f"the output cannot be written ({error.strerror})"
    elif isinstance(error, OSError) and error.errno in EXHAUSTED:
        reason = f"this process may not have more ({error.strerror})"
    elif isinstance(error, OSError) and error.filename is not None:  # such as a name that is too long
        reason = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, FileNotFoundError):  # no folder for temporary files
        reason = str(error.strerror)
    elif isinstance(error, MemoryError):
        reason = "not enough memory"
    else:
        reason = f"{type(error).__name__}: {first_line(error)} (a fault of this program; --debug shows where)"
        code = 1
    log.error(f"error: {InputError(reason)}", exc_info=error)  # which keeps to one line of bounded length
    return code


def _is_foreign(module: str | None) -> bool:
    return bool(module) and not str(module).startswith(__package__.partition(".")[0])


def _drop_stdout() -> None:
    """Drop what is left for a stdout that takes no more; Python would try again at its end."""
    sys.stdout = open(os.devnull, "w")
