"""Which arithmetic a recipe's precision means on this machine.

A processor without bfloat16 instructions imitates them, ten times slower than it computes in float32: there,
float32 is used, and the net's entry on the run's card says so.
"""

from pathlib import Path
from typing import Final

from hierarchy.config.schema import TrainConfig

PROCESSOR: Final = Path("/proc/cpuinfo")
INSTRUCTIONS: Final = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names them on x86-64 and on Arm


def arithmetic(fit: TrainConfig, accelerated: bool) -> str:
    """`float32` or `bfloat16`.

    Args:
        fit: what the recipe asks for.
        accelerated: whether the net is fitted on something else than the processor.
    """
    native = accelerated or bool(INSTRUCTIONS & _known())
    return fit.precision if native else "float32"


def _known() -> set[str]:
    """Instructions of the processor; empty where the system does not list them."""
    return set(PROCESSOR.read_text().split()) if PROCESSOR.is_file() else set()
