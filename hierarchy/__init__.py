"""Two-tier facial-expression classifier: a face goes to a branch, then to a leaf of that branch."""

__version__ = "0.1.0"
