"""Options of every command: --quiet, --verbose, and --config with a file of further options."""

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from hierarchy.cli.options import COMMANDS
from hierarchy.errors import InputError, error_context

PACKAGE: Final = "hierarchy"  # the logger whose level is set
OWN: Final = "config"
MAX_BYTES: Final = 1 << 20  # of a file of options
TRACEBACKS: Final = 1  # level of --debug, below which the exceptions of faults are shown
SINGLE: Final = (str, int, float, bool)


def _set_level(level: int) -> Callable[[bool], None]:
    def callback(given: bool) -> None:
        if given:
            logging.getLogger(PACKAGE).setLevel(level)

    return callback


def _read_config(context: typer.Context, file: Path | None) -> None:
    """Make the values of a file the defaults of the command's options."""
    if file is not None and not context.resilient_parsing:
        above, names = context, list[str]()
        while above.parent is not None:
            names.insert(0, above.info_name or "")
            above = above.parent  # type: ignore[assignment]
        context.default_map = {**(context.default_map or {}), **configured(file, names, context.command)}


Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Errors only.", callback=_set_level(logging.WARNING))
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="More messages.", callback=_set_level(logging.DEBUG))
]
Debug = Annotated[
    bool, typer.Option("--debug", help="Show the traceback of a fault.", callback=_set_level(TRACEBACKS))
]
Config = Annotated[
    Path | None,
    typer.Option(
        help="TOML file of options, in it a table for each command; the command line wins.",
        callback=_read_config,
        is_eager=True,
    ),
]
SHARED: Final[dict[str, Any]] = {"quiet": Quiet, "verbose": Verbose, "debug": Debug, OWN: Config}


def with_shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """A command with the options of SHARED besides its own."""

    @functools.wraps(function)
    def command(*args: Any, **values: Any) -> Any:
        return function(*args, **{name: value for name, value in values.items() if name not in SHARED})

    signature = inspect.signature(function)
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if name == OWN else False,
            annotation=annotation,
        )
        for name, annotation in SHARED.items()
    ]
    command.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *more]
    )
    command.__annotations__ = {**function.__annotations__, **SHARED}
    return command


def configured(file: Path, names: list[str], command: Any) -> dict[str, Any]:
    """The values of a file for a command, by the names of its parameters.

    Args:
        file: TOML; keys outside of tables are for any command, a table such as [predict] or [data.audit] for
            one.
        names: of the command and the group that it is in.
        command: with parameters, as typer makes it.

    Raises:
        InputError: not TOML, an unknown option, or a value of another kind; the key is named.
    """
    values = _table(_read(file), names, str(file))
    options = {
        opt.removeprefix("--"): option
        for option in command.params
        for opt in option.opts
        if opt.startswith("--") and option.name not in (OWN, "help")
    }
    found = {}
    for key, value in values.items():
        place = f"--config {file}: {key}"
        if (option := options.get(key.replace("_", "-"))) is None:
            raise InputError(f"{place}: no option of {' '.join(names)}; expected one of {', '.join(options)}")
        found[option.name] = _value(option, value, place)
    return found


def _read(file: Path) -> dict[str, Any]:
    from hierarchy.fileio import read_toml

    with error_context("--config"):
        return read_toml(file, MAX_BYTES)


def _table(values: Mapping[str, Any], names: list[str], source: str) -> dict[str, Any]:
    """The values outside of tables, with those of the command's table."""
    for key, value in values.items():
        if isinstance(value, dict) and key not in COMMANDS:
            raise InputError(f"--config {source}: [{key}]: no command; expected one of {', '.join(COMMANDS)}")
    table: Mapping[str, Any] = values
    for name in names:
        below = table.get(name, {})
        table = below if isinstance(below, dict) else {}
    return {key: value for key, value in values.items() if not isinstance(value, dict)} | dict(table)


def _value(option: Any, value: Any, place: str) -> Any:
    """A value as an option takes it from the command line.

    Raises:
        InputError: a list or table for a single value, no true or false for a flag, a text with NUL.
    """
    each = value if option.multiple and isinstance(value, list) else [value]
    if not all(isinstance(one, SINGLE) and isinstance(one, bool) == option.is_flag for one in each):
        kind = "true or false" if option.is_flag else "a number or a text"
        raise InputError(f"{place}: {value!r}; expected {kind}{', or a list' * option.multiple}")
    if any("\0" in str(one) for one in each):  # which no argument of a command line can hold
        raise InputError(f"{place}: {value!r}; expected a text without NUL")
    return [str(one) for one in each] if option.multiple else value
