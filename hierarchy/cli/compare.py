"""`compare`: tree against flat nets over all runs."""


def compare() -> None:
    """Compare trees with flat nets over all runs in results/."""
    from hierarchy.evaluation.compare_report import compare as write_comparison

    print(write_comparison())
