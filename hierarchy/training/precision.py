"""The arithmetic of a training run on this machine.

Processors without bfloat16 instructions emulate them, ten times slower than float32; there, float32 is used.
"""

from pathlib import Path
from typing import Final

from hierarchy.config.schema import TrainConfig

PROCESSOR: Final = Path("/proc/cpuinfo")
INSTRUCTIONS: Final = {"avx512_bf16", "amx_bf16", "bf16"}  # as Linux names them on x86-64 and on Arm


def arithmetic(fit: TrainConfig, accelerated: bool) -> str:
    """`float32` or `bfloat16`.

    Args:
        fit: the recipe's.
        accelerated: whether the net is trained on a GPU or TPU.
    """
    flags = PROCESSOR.read_text().split() if PROCESSOR.is_file() else []
    return fit.precision if accelerated or INSTRUCTIONS.intersection(flags) else "float32"
