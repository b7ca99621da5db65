"""The image files of folders, globs and names; what is left out is counted."""

import glob
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hierarchy.data import images
from hierarchy.errors import InputError, SkippedImage, install, skipped

DATA_FILES: Final = (".csv", ".csv.gz", ".parquet")  # a glob gives them too
LINK, NO_SUFFIX = "link to a folder", "no suffix"  # kinds that are left out, besides suffixes
KINDS_SHOWN: Final = 5
MANY: Final = 1000  # names of folders of a glob, above which links are looked at
DEEP, DEEPEST = re.compile(r"(\*\*/)+"), "**/"  # one of them already means any depth


def find(paths: Sequence[str], left_out: Counter[str] | None = None) -> Iterator[Path | InputError]:
    """The image files of files, folders and globs, in order and without repeats.

    A folder gives all images in and below it (by `images.suffixes`, sorted, hidden ones excluded); a glob
    gives its matches of these kinds and data files, `**` at any depth; links to folders are not followed. A
    file given by name, or by a glob that ends in its suffix, is taken whatever that is, and checked by
    `images.read`. Of a single folder, only one level of names is held in memory.

    Args:
        paths: of files and folders, and globs.
        left_out: counts files of other kinds, by suffix.

    Yields:
        A file; or an InputError where a path gives no file or a folder cannot be listed, so that a caller can
        report it and continue.
    """
    several = len(paths) > 1 or any(map(glob.has_magic, paths))
    seen: set[str] = set()  # absolute paths: a.png and ./a.png are the same file
    for path in paths:
        path = DEEP.sub(DEEPEST, path)
        empty, others = True, Counter[str]()
        for file in _guarded(path, others):
            empty = False
            if several and isinstance(file, Path):
                if (absolute := os.path.abspath(file)) in seen:
                    continue
                seen.add(absolute)
            yield file
        if empty:
            yield _nothing(path, others)
        elif left_out is not None:
            left_out.update(others)


def summary(left_out: Counter[str]) -> str:
    """Files of other kinds in one line; empty if there are none."""
    if not (number := left_out.total()):
        return ""
    kinds = [f"{kind} {times:,}" for kind, times in left_out.most_common(KINDS_SHOWN)]
    more = len(left_out) - len(kinds)
    line = f"{number:,} file{'s' * (number > 1)} of other kinds left out ({', '.join(kinds)}"
    line += f", and {more:,} more kinds)" if more else ")"
    needs_library = any(suffix in left_out for suffix in images.HEIF_SUFFIXES)
    return f"{line}; HEIC needs {install('heic')}" if needs_library else line


def _nothing(path: str, others: Counter[str]) -> InputError:
    reason = "no match" if glob.has_magic(path) else "no such file or folder"
    if os.path.lexists(path):
        reason = "no image in this folder" if os.path.isdir(path) else "a link that leads nowhere"
    found = f" ({others_line})" if (others_line := summary(others)) else ""
    return InputError(
        f"{path}: {reason}{found}; expected images ({' '.join(images.SUFFIXES)}), folders or globs"
    )


def _guarded(path: str, others: Counter[str]) -> Iterator[Path | InputError]:
    try:
        yield from _expand(path, others)
    except Exception as error:  # of this path only
        yield skipped(path, error)


def _expand(path: str, others: Counter[str]) -> Iterator[Path | InputError]:
    if os.path.isdir(path):
        yield from _below(path, others)
    elif os.path.exists(path):
        yield Path(path)
    elif glob.has_magic(path):
        named = os.path.splitext(path)[1]
        kinds = (
            *images.suffixes(),
            *DATA_FILES,
            *([named.lower()] if named and not glob.has_magic(named) else []),
        )
        for match in _matches(path):
            if "**" in path and os.path.isdir(match) and os.path.islink(match):
                others[LINK] += 1
            elif os.path.isdir(match):
                yield from _below(match, others)
            elif match.lower().endswith(kinds):
                yield Path(match)
            else:
                others[_kind(match)] += 1


def _matches(pattern: str) -> list[str]:
    """The matches of a glob, sorted; `**` does not follow links to folders, which may form a loop.

    They are found name by name, since `*/../*/..` and links to `.` name the same folders again and again.
    """
    names, found = re.findall(r"^/|[^/]+", pattern.replace(os.sep, "/")), [""]
    for name in names[:-1] if names[-1:] == ["**"] else names:
        if len(found) > MANY:
            found = _different(found)
        if name == "**":
            found = _different([folder for each in found for folder in _folders(each or os.curdir)])
        else:
            below = [(each, glob.glob(name, root_dir=each or None)) for each in found]
            found = [os.path.join(each, match) for each, matches in below for match in matches]
        if name == os.pardir:
            found = _different(found)
    found = [each or os.curdir for each in found]
    return sorted(each for each in found if os.path.isdir(each) or not pattern.endswith("/"))


def _different(folders: list[str]) -> list[str]:
    """Each folder by one of its names."""
    return [*{_identity(folder): folder for folder in folders}.values()]


def _identity(path: str) -> object:
    try:
        about = os.stat(path or os.curdir)
    except OSError:
        return path
    return about.st_dev, about.st_ino


def _folders(start: str) -> Iterator[str]:
    """A folder and those below it, but for hidden ones and links."""
    waiting = [start]
    while waiting:
        yield (folder := waiting.pop())
        with suppress(OSError), os.scandir(folder) as entries:
            waiting += [
                entry.path
                for entry in entries
                if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
            ]


def _below(folder: str, others: Counter[str]) -> Iterator[Path | InputError]:
    """The images in and below a folder, by name at each level; links to folders are not followed."""
    suffixes, waiting = images.suffixes(), [folder]
    while waiting:
        path = waiting.pop()
        if os.path.isdir(path):
            if path != folder and os.path.islink(path):
                others[LINK] += 1
                continue
            try:
                names = sorted(os.listdir(path), reverse=True)
            except OSError as error:
                yield SkippedImage(path, f"{path}: cannot be read ({error.strerror})")
                continue
            waiting += [os.path.join(path, name) for name in names if not name.startswith(".")]
        elif path.lower().endswith(suffixes):
            yield Path(path)
        else:
            others[_kind(path)] += 1


def _kind(path: str) -> str:
    return os.path.splitext(path)[1].lower() or NO_SUFFIX
