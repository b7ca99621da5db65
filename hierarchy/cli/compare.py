"""`compare`: tree against flat nets over all runs."""

from hierarchy.cli.options import show


def compare() -> None:
    """Compare trees with flat nets over all runs in results/."""
    from hierarchy.evaluation.compare_report import compare as write_comparison

    show(write_comparison())
