"""Two-tier facial-expression classifier: a face goes to a branch, then to a leaf of that branch."""

TYPE_CHECKING = False  # importing typing would take a fifth of the time of --version
if TYPE_CHECKING:
    from typing import Any

    from hierarchy.classifier import HierarchicalClassifier

__version__ = "0.1.0"
__all__ = ["HierarchicalClassifier"]


def __getattr__(name: str) -> "Any":
    """The classifier, loaded when it is first asked for, so that the import itself stays cheap."""
    if name in __all__:
        from hierarchy import classifier

        return getattr(classifier, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
