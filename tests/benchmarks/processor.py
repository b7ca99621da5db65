"""The processor that is measured, and a figure over the rounds of a measurement."""

import datetime
import functools
import os
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cpuinfo import get_cpu_info

from hierarchy.evaluation.benchmarks import Entry, Measured, Spread

SETS: Final = {  # instruction set: a flag of processors that have it, without underscores
    "AVX2": "avx2",
    "AVX-512": "avx512f",
    "AVX-512-VNNI": "avx512vnni",
    "AMX": "amxint8",
    "NEON": "asimd",
}


@functools.cache
def of_this_machine() -> tuple[str, tuple[str, ...], int]:
    """Name, instruction sets and cores; the first call counts the cores."""
    about = get_cpu_info()
    flags = {flag.replace("_", "") for flag in about.get("flags", ())}
    name = " ".join(about.get("brand_raw", about["arch"]).split())
    return name, tuple(title for title, flag in SETS.items() if flag in flags), len(os.sched_getaffinity(0))


def entry(figures: Mapping[str, Any]) -> Entry:
    """Figures that were measured here today."""
    return Entry(*of_this_machine(), datetime.date.today(), dict(figures))


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of the rounds."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def text(figure: Measured, form: str, factor: float = 1) -> str:
    """A figure in a format such as ".2f", its quartiles behind; a dash where there is none."""
    if figure is None:
        return "-"
    if not isinstance(figure, dict):
        return format(factor * figure, form)
    middle, low, high = (format(factor * figure[key], form) for key in ("median", "low", "high"))
    return f"{middle} ({low} to {high})"
