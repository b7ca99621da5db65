"""The training loop of one net in PyTorch.

The order of faces is that of hierarchy.training.sampler; losses and schedules are those of the recipe. Every
epoch leaves a checkpoint, and training resumes from the last completed one.
"""

import io
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from hierarchy.config.schema import TrainConfig
from hierarchy.fileio import check_archive
from hierarchy.training.backend import VALIDATION_BATCH, TrainTask, check_roles, run_training
from hierarchy.training.precision import arithmetic
from hierarchy.training.progress import Progress
from hierarchy.training.sampler import EpochSampler
from hierarchy.training.schedules import learning_rate
from hierarchy.training.targets import class_weights, node_dataset, one_hot
from pt_files import serialization
from pt_files.augmentation import augmented
from pt_files.build import Built, build, empty, frozen, macs, parameters, penalty

SUFFIX = ".pt"  # of checkpoints: tensors only
ALPHA = 0.25  # of Keras' focal loss
EPSILON = 1e-7  # of Keras' Adam
MOMENTS = {"sgd": ("momentum_buffer",), "adam": ("step", "exp_avg", "exp_avg_sq")}  # of each parameter


def fit_node(task: TrainTask) -> None:
    """Train one net, choose its best epoch on PublicTest, and store it in the run.

    Raises:
        InputError: a split is empty for the node.
        KeyboardInterrupt: after the best weights so far have been stored.
    """
    check_roles(task)
    torch.manual_seed(task.rng_seed)
    checkpoints, fitting = task.checkpoints(SUFFIX), Fitting(task)
    if checkpoints.weights:
        with checkpoints.reading(checkpoints.weights):
            check_archive(checkpoints.weights)
            fitting.load(checkpoints.weights.read_bytes())

    def epochs(progress: Progress) -> None:
        while not checkpoints.done:
            row = fitting.epoch(checkpoints.rows, progress)
            checkpoints.write_raw(fitting.to_bytes())
            checkpoints.add(row, _saved(fitting.evaluated.state_dict()))
            progress.end(row)

    run_training(task, checkpoints, epochs, lambda best: _packed(task, best), ".safetensors")


class Fitting:
    """A net in training, with its optimizer and averaged weights.

    Args:
        task: the training.
    """

    def __init__(self, task: TrainTask) -> None:
        self.task, self.fit = task, task.fit
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dataset = node_dataset(task.train, task.tree, task.node, task.fit, task.taught)
        self.epochs = EpochSampler(dataset, task.fit, task.recipe.augment, task.seed)
        self.net = build(task.tree, task.node, task.recipe.net)
        if task.start:
            warm_start(self.net, serialization.load(task.start[0]))
        self.fixed = [] if task.frozen is None else frozen(self.net, task.frozen)
        for module in self.fixed:
            module.requires_grad_(False)
        self.net.to(self.device)
        self.optimizer = _optimizer(self.net, task.fit)
        weights = class_weights(dataset.label, task.classes)
        self.class_weights = torch.tensor(weights, dtype=torch.float32, device=self.device)
        averaging = partial(_average, 1 - task.fit.ema)
        self.averaged = AveragedModel(self.net, avg_fn=averaging, use_buffers=True) if task.fit.ema else None
        self.evaluated: nn.Module = self.averaged.module if self.averaged is not None else self.net

    def epoch(self, rows: Sequence[Mapping[str, Any]], progress: Progress) -> dict[str, float]:
        """Train one more epoch than there are rows of history, and validate the net: the next row."""
        number, steps = len(rows), len(self.epochs)
        self.epochs.begin(number)
        torch.manual_seed(int(np.random.default_rng([self.task.seed, number]).integers(2**31)))
        progress.begin(number, steps)
        started = time.perf_counter()
        self.net.train()
        for module in self.fixed:
            module.eval()
        figures = []
        for step in range(steps):
            rate = learning_rate(self.fit, number * steps + step, steps, rows)
            figures.append(self._step(rate, *self.epochs[step]))
            progress.step()
        fitted = time.perf_counter()
        loss, accuracy = np.mean(figures, axis=0)
        valid_loss, valid_accuracy = self._validate()
        return {
            "loss": float(loss),
            "accuracy": float(accuracy),
            "val_loss": valid_loss,
            "val_accuracy": valid_accuracy,
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "images_per_second": steps * self.fit.batch_size / (fitted - started),
            "seconds": time.perf_counter() - started,
        }

    def to_bytes(self) -> bytes:
        """State that training resumes from."""
        averaged = self.averaged.state_dict() if self.averaged is not None else {}
        state = {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict(), "averaged": averaged}
        return _saved(state)

    def load(self, data: bytes) -> None:
        """Restore the state of `to_bytes`."""
        state = torch.load(io.BytesIO(data), weights_only=True, map_location=self.device)
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(self._checked(state["optimizer"]["state"]))
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])

    def _checked(self, moments: dict[int, dict[str, torch.Tensor]]) -> dict[str, Any]:
        """The optimizer's state with these moments of each parameter, and the recipe's settings.

        Torch takes any and fails at the next step.

        Raises:
            ValueError: they are not those of this optimizer and these parameters.
        """
        state = self.optimizer.state_dict()
        known = dict(enumerate(each for group in self.optimizer.param_groups for each in group["params"]))
        names = MOMENTS[self.fit.optimizer]
        for number, values in moments.items():
            shapes = {name: value.shape for name, value in values.items()}
            expected = {name: torch.Size() if name == "step" else known[number].shape for name in names}
            if shapes and shapes != expected:
                raise ValueError("moments of another optimizer or net")
        return state | {"state": moments}

    def _step(self, rate: float, pixels: np.ndarray, target: np.ndarray) -> tuple[float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        faces = augmented(torch.from_numpy(pixels).to(self.device), self.task.recipe.augment)
        wanted = torch.from_numpy(target).to(self.device)
        with self._precision():
            logits = self.net(faces)
        losses = loss_of(self.fit, logits, wanted)
        if self.fit.class_weights:
            losses = losses * self.class_weights[wanted.argmax(1)]
        loss = losses.mean()
        if self.fit.l2:
            loss = loss + penalty(self.net, self.fit.l2)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if self.fit.clip_norm:
            nn.utils.clip_grad_norm_(self.net.parameters(), self.fit.clip_norm)
        self.optimizer.step()
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)
        return loss.item(), (logits.argmax(1) == wanted.argmax(1)).float().mean().item()

    def _validate(self) -> tuple[float, float]:
        """Loss and accuracy on PublicTest."""
        task, valid = self.task, self.task.valid
        target = torch.from_numpy(one_hot(valid.target(task.tree, task.node), task.classes))
        self.evaluated.eval()
        with torch.inference_mode(), self._precision():
            parts = torch.from_numpy(valid.pixels).split(VALIDATION_BATCH)
            logits = torch.cat([self.evaluated(part.to(self.device)).cpu() for part in parts])
        accuracy = (logits.argmax(1) == target.argmax(1)).float().mean().item()
        return loss_of(self.fit, logits, target).mean().item(), accuracy

    def _precision(self) -> torch.autocast:
        half = arithmetic(self.fit, self.device.type != "cpu") == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16, enabled=half)


def warm_start(net: Built, flat: Built) -> None:
    """Give a net a flat net's weights; a class' logit is initialised as the mean of its leaves'."""
    weights = flat.state_dict()
    groups = net.tree.members(net.node)
    for name in ("logits.weight", "logits.bias"):
        weights[name] = torch.stack([weights[name][group].mean(dim=0) for group in groups])
    net.load_state_dict(weights)


def _average(share: float, average: torch.Tensor, value: torch.Tensor, _: object) -> torch.Tensor:
    """Exponential moving average; integer buffers are copied."""
    return average.lerp(value, share) if average.is_floating_point() else value


def _optimizer(net: Built, fit: TrainConfig) -> torch.optim.Optimizer:
    """SGD or Adam; weight decay on kernels only."""
    kernels = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    groups = [{"params": kernels, "weight_decay": fit.weight_decay}, {"params": others, "weight_decay": 0.0}]
    if fit.optimizer == "sgd":
        return torch.optim.SGD(groups, fit.learning_rate, momentum=fit.momentum, nesterov=fit.momentum > 0)
    return torch.optim.AdamW(groups, fit.learning_rate, eps=EPSILON)


def loss_of(fit: TrainConfig, logits: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The recipe's loss of each face, float32[N], as in Keras."""
    if fit.loss == "cross-entropy":
        return functional.cross_entropy(logits, wanted, reduction="none", label_smoothing=fit.label_smoothing)
    smooth = wanted * (1 - fit.label_smoothing) + fit.label_smoothing / wanted.shape[1]
    probability = functional.softmax(logits, dim=1)
    return (
        ALPHA * (1 - probability) ** fit.focal_gamma * -smooth * functional.log_softmax(logits, dim=1)
    ).sum(1)


def _saved(state: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


def _packed(task: TrainTask, best: Path) -> tuple[bytes, dict[str, Any]]:
    """The best epoch's net."""
    net = empty(task.tree, task.node, task.recipe.net)
    check_archive(best)
    net.load_state_dict(torch.load(best, weights_only=True, map_location="cpu"))
    precision = arithmetic(task.fit, torch.cuda.is_available())
    size = {"parameters": parameters(net), "macs": macs(net)}
    return serialization.to_bytes(net), size | {"precision": precision, "backend": "pytorch"}
