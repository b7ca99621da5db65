"""A progress bar on stderr with faces per second and time left, and a line per epoch."""

import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Final

import rich.console
import rich.progress

from hierarchy.config.schema import TrainConfig

FIGURES: Final = (("loss", "loss", 3), ("accuracy", "accuracy", 3), ("val_accuracy", "PublicTest", 4))


def bar(label: str, unit: str, **more: Any) -> rich.progress.Progress:
    """A progress bar on stderr with label, `rate` and time left; disabled where stderr is not a terminal."""
    return rich.progress.Progress(
        label,
        rich.progress.BarColumn(),
        f"{{task.fields[rate]:.0f}} {unit}",
        rich.progress.TimeRemainingColumn(),
        console=rich.console.Console(stderr=True),
        disable=not sys.stderr.isatty(),
        **more,
    )


class Progress(AbstractContextManager):
    """The progress of training one node.

    Args:
        node: name of the net.
        fit: number of epochs, batch size.
    """

    def __init__(self, node: str, fit: TrainConfig) -> None:
        self.node, self.fit = node, fit
        self.bar = bar("{task.description}", "faces/s")

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def begin(self, epoch: int, steps: int) -> None:
        """Begin an epoch, counted from 0."""
        self.bar.start()
        if not self.bar.tasks:
            self.bar.add_task("", total=steps * self.fit.epochs, completed=steps * epoch, rate=0.0)
        self.epoch, self.steps, self.started = epoch, 0, time.perf_counter()
        self.bar.update(self.bar.task_ids[0], description=f"{self.node}, epoch {epoch + 1}/{self.fit.epochs}")

    def step(self) -> None:
        """Advance by one step."""
        self.steps += 1
        rate = self.steps * self.fit.batch_size / (time.perf_counter() - self.started)
        self.bar.update(self.bar.task_ids[0], advance=1, rate=rate)

    def end(self, figures: Mapping[str, Any]) -> None:
        """Print loss, accuracy and val_accuracy of the epoch, those that there are."""
        shown = [f"{name} {figures[key]:.{digits}f}" for key, name, digits in FIGURES if key in figures]
        seconds = f"{time.perf_counter() - self.started:.0f} s"
        line = ", ".join([f"{self.node}: epoch {self.epoch + 1}/{self.fit.epochs}", *shown, seconds])
        self.bar.console.print(line, highlight=False, soft_wrap=True)
