"""bfloat16 is used where the machine computes it, and nowhere else."""

import pytest

from hierarchy.config.schema import TrainConfig
from hierarchy.training import precision

HALF, WHOLE = TrainConfig(precision="bfloat16"), TrainConfig(precision="float32")


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ("flags : fpu avx2 avx512f avx512_bf16", "bfloat16"),
        ("Features : fp asimd bf16", "bfloat16"),
        ("flags : fpu avx2 avx512f", "float32"),  # imitated, ten times slower than float32
        (None, "float32"),
    ],
)
def test_a_processor_is_asked_what_it_knows(told, used, monkeypatch, tmp_path):
    listing = tmp_path / "cpuinfo"
    if told:
        listing.write_text(told)
    monkeypatch.setattr(precision, "PROCESSOR", listing)
    assert precision.arithmetic(HALF, accelerated=False) == used
    assert precision.arithmetic(HALF, accelerated=True) == "bfloat16"
    assert precision.arithmetic(WHOLE, accelerated=True) == "float32"
