"""Two-tier facial-expression classifier: a face goes to a branch, then to a leaf of that branch."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hierarchy.classifier import HierarchicalClassifier

__version__ = "0.1.0"
__all__ = ["HierarchicalClassifier"]


def version() -> str:
    """Version of the installed distribution, else of the package in a checkout."""
    from importlib import metadata

    from hierarchy.errors import DISTRIBUTION

    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return __version__


def __getattr__(name: str) -> Any:
    """The classifier, loaded when it is first asked for, so that the import itself stays cheap."""
    if name in __all__:
        from hierarchy import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
