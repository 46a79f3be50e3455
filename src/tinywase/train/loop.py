"""The one training loop: plain torch, one process or several (torchrun), resumed by the same command.

Recipe in, batches from the loader thread, losses of the objective, averaged weights out. Every few minutes the whole
state goes to `state.pt` (written whole or not at all), the averaged weights to `last.safetensors`, and those that did
best on the dev lists to `best.safetensors`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, distributed, nn

from ..config import to_dict
from ..data.mixing import Mixer
from ..errors import ConfigError, TinyWaseError
from ..files import whole_file
from ..models import Wase
from .checkpoint import load_weights, save_weights
from .dev import dev_scores, render_dev
from .hardware import Hardware, prepare_hardware
from .loader import batches
from .objectives import Objective, TrainedSystem, build_objective
from .recipe import Recipe
from .schedule import learning_rate_factor
from .source import open_bank

log = logging.getLogger(__name__)
REPORT_S = 30.0


@dataclass
class Progress:
    """Where a training stands; saved with it."""

    step: int = 0
    audio_s: float = 0.0
    train_s: float = 0.0
    best_score: float = float("-inf")
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def audio_per_s(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.audio_s / self.train_s if self.train_s else 0.0


class Trainer:
    """A training that can be stopped at any moment and goes on from its last state."""

    def __init__(self, recipe: Recipe, *, on_step: Callable[[Progress, dict[str, float]], None] | None = None) -> None:
        self.recipe = recipe
        self.hardware: Hardware = prepare_hardware(recipe)
        torch.manual_seed(recipe.seed)
        with self._leader_first():  # who packs the bank if there is none
            bank = open_bank(recipe.data, recipe.model.sample_rate_hz)
        self.system, self.objective = self._build(Mixer(bank, recipe.mix))
        self.system.to(self.hardware.device)
        self.averaged = {key: value.detach().clone() for key, value in self.system.model.state_dict().items()}
        self.optimizer = self._build_optimizer()
        self.progress = Progress()
        self.on_step = on_step
        self.dev = render_dev(recipe.data, recipe.model.sample_rate_hz) if self.hardware.leads else {}
        self._stop = False

    @contextlib.contextmanager
    def _leader_first(self) -> Iterator[None]:
        """The other processes wait until the leader is through."""
        if self.hardware.world > 1 and not self.hardware.leads:
            distributed.barrier()
        yield
        if self.hardware.world > 1 and self.hardware.leads:
            distributed.barrier()

    def _build(self, mixer: Mixer) -> tuple[TrainedSystem, Objective]:
        """What is trained and how its loss comes about; a compression trains a student (compress.py)."""
        recipe = self.recipe
        system = TrainedSystem(Wase(recipe.model), mixer.speaker_classes, margin=recipe.loss.speaker_margin)
        for path in recipe.init:
            _begin_with(system, path)
        return system, build_objective(recipe, mixer)

    def _build_optimizer(self) -> torch.optim.Optimizer:
        config = self.recipe.optimizer
        voiceprint = [*self.system.model.voiceprint_encoder.parameters(), *self.system.classifier.parameters()]
        ids = {id(p) for p in voiceprint}
        rest = [p for p in self.system.parameters() if id(p) not in ids]
        groups = [
            {"params": rest, "lr": config.learning_rate, "base_lr": config.learning_rate},
            {"params": voiceprint, "lr": config.voiceprint_learning_rate, "base_lr": config.voiceprint_learning_rate},
        ]
        return torch.optim.AdamW(groups, weight_decay=config.weight_decay, foreach=True)

    # The loop

    def run(self) -> Progress:
        """Train to the last step of the recipe, or until interrupted; the state is saved either way."""
        self.recipe.folder.mkdir(parents=True, exist_ok=True)
        self._resume()
        recipe, progress, hardware = self.recipe, self.progress, self.hardware
        wrapped: Any = self.system
        if hardware.world > 1:
            # the last block's residual path leads nowhere, and an objective may not use every part
            wrapped = nn.parallel.DistributedDataParallel(self.system, find_unused_parameters=True)
        self.system.train()
        data = batches(self.objective.draw, seed=recipe.seed, rank=hardware.rank, first_step=progress.step)
        saved = evaluated = reported = time.monotonic()
        with self._stoppable(), contextlib.closing(data), self._curves() as curves:
            while progress.step < recipe.optimizer.steps and not self._agreed_stop():
                begun = time.monotonic()
                logs = self._step(wrapped, next(data))
                now = time.monotonic()
                progress.train_s += now - begun
                if not hardware.leads:
                    continue
                if self.on_step:
                    self.on_step(progress, logs)
                if now - reported > REPORT_S:
                    reported = now
                    curves(logs)
                if now - saved > recipe.checkpoint_minutes * 60:
                    saved = now
                    self._save()
                if self.dev and now - evaluated > recipe.dev_minutes * 60:
                    evaluated = time.monotonic()
                    curves(self._evaluate())
            if hardware.leads:
                if self.dev and progress.step >= recipe.optimizer.steps:
                    curves(self._evaluate())
                self._save()
        if hardware.world > 1:
            distributed.destroy_process_group()
        return progress

    def _step(self, wrapped: Any, batch: dict[str, Tensor]) -> dict[str, float]:
        """One update of the weights and of their average."""
        recipe, progress, hardware = self.recipe, self.progress, self.hardware
        factor = learning_rate_factor(progress.step, recipe.optimizer)
        for group in self.optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        batch = {key: value.to(hardware.device, non_blocking=True) for key, value in batch.items()}
        with torch.autocast(hardware.device.type, torch.bfloat16, enabled=hardware.bfloat16):
            loss, logs = self.objective.loss(wrapped, batch, progress.step)
        if not torch.isfinite(loss):
            raise TinyWaseError(
                f"the loss became {float(loss)} at step {progress.step}. The last state in {recipe.folder} is sound: "
                "lower optimizer.learning_rate and run the same command."
            )
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        logs["gradient"] = float(nn.utils.clip_grad_norm_(self.system.parameters(), recipe.optimizer.clip))
        self.optimizer.step()
        self._average()
        progress.step += 1
        heard = batch["mixture"] if "mixture" in batch else batch["extra_enrollment"]
        progress.audio_s += heard.numel() / recipe.model.sample_rate_hz * hardware.world
        return {**logs, "loss": float(loss.detach()), "learning_rate": self.optimizer.param_groups[0]["lr"]}

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential average of the weights; young averages forget faster."""
        decay = min(self.recipe.optimizer.average, (1 + self.progress.step) / (10 + self.progress.step))
        current = self.system.model.state_dict()
        torch._foreach_lerp_(list(self.averaged.values()), [current[key] for key in self.averaged], 1 - decay)

    def averaged_model(self) -> Wase:
        """The network with the averaged weights."""
        model = Wase(self.recipe.model).to(self.hardware.device)
        model.load_state_dict(self.averaged)
        return model.eval()

    # Dev lists, curves

    def _evaluate(self) -> dict[str, float]:
        """Score the averaged weights and keep them if they are the best so far."""
        extraction = self.recipe.objective == "extraction"
        scores = dev_scores(self.averaged_model(), self.dev, extraction=extraction)
        score = scores["improvement_db"] if extraction else -scores["equal_error_rate"]
        self.progress.scores = scores
        if score > self.progress.best_score:
            self.progress.best_score = score
            self._save_weights("best.safetensors")
        shown = json.dumps({name: round(value, 3) for name, value in sorted(scores.items())})
        log.info("dev at step %d: %s", self.progress.step, shown)
        return {f"dev/{key}": value for key, value in scores.items()}

    @contextlib.contextmanager
    def _curves(self) -> Iterator[Callable[[dict[str, float]], None]]:
        """Writes numbers to tensorboard and to curves.jsonl, one line each."""
        if not self.hardware.leads:
            yield lambda numbers: None
            return
        from torch.utils.tensorboard import SummaryWriter

        with SummaryWriter(str(self.recipe.folder / "tensorboard")) as board, (
            self.recipe.folder / "curves.jsonl"
        ).open("a") as lines:

            def write(numbers: dict[str, float]) -> None:
                progress = self.progress
                for key, value in numbers.items():
                    board.add_scalar(key, value, progress.step)
                where = {"step": progress.step, "audio_h": progress.audio_s / 3600, "train_h": progress.train_s / 3600}
                lines.write(json.dumps({k: round(v, 5) for k, v in {**where, **numbers}.items()}) + "\n")
                lines.flush()

            yield write

    # Stopping and going on

    @contextlib.contextmanager
    def _stoppable(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM finish the step, save, and end."""

        def stop(signum: int, frame: Any) -> None:
            self._stop = True

        previous = {s: signal.signal(s, stop) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _agreed_stop(self) -> bool:
        """Whether any process was asked to stop; all must leave at the same step."""
        if self.hardware.world == 1:
            return self._stop
        flag = torch.tensor(int(self._stop), device=self.hardware.device)
        distributed.all_reduce(flag)
        return bool(flag)

    def _save(self) -> None:
        """The whole state, atomically."""
        state = {
            "system": self.system.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
            "model": to_dict(self.recipe.model),
        }
        with whole_file(self.recipe.folder / "state.pt", force=True) as part:
            torch.save(state, part)
        self._save_weights("last.safetensors")

    def _save_weights(self, name: str) -> None:
        progress = self.progress
        facts = {"step": progress.step, "audio_h": round(progress.audio_s / 3600, 3), "dev": progress.scores}
        only = "voiceprint_encoder." if self.recipe.objective == "voiceprint" else ""
        metadata = {"training": json.dumps(facts)}
        save_weights(self.averaged_model(), self.recipe.folder / name, metadata, only=only)

    def _resume(self) -> None:
        """Go on from the folder's state, if there is one.

        Raises:
            ConfigError: it belongs to another network.
        """
        path = self.recipe.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.hardware.device, weights_only=True)
        if state["model"] != to_dict(self.recipe.model):
            raise ConfigError(f"{path} is a training of another network. Give this recipe another 'name' or 'out'.")
        self.system.load_state_dict(state["system"])
        self.averaged = state["averaged"]
        self.optimizer.load_state_dict(state["optimizer"])
        for group, base in zip(
            self.optimizer.param_groups,
            (self.recipe.optimizer.learning_rate, self.recipe.optimizer.voiceprint_learning_rate),
            strict=True,
        ):
            group["base_lr"] = base  # the recipe may have changed since
        self.progress = Progress(**state["progress"])
        log.info("going on at step %d (%.2f h of audio)", self.progress.step, self.progress.audio_s / 3600)


def _begin_with(system: TrainedSystem, path: str) -> None:
    """Weights of a checkpoint, or of another training's state.pt, which also knows the speaker classifier."""
    if not path.endswith(".pt"):
        load_weights(system.model, path)
        return
    state = torch.load(path, map_location="cpu", weights_only=True)
    averaged = {f"model.{key}": value for key, value in state["averaged"].items()}
    own = system.state_dict()
    known = {k: v for k, v in {**state["system"], **averaged}.items() if k in own and own[k].shape == v.shape}
    system.load_state_dict(known, strict=False)
