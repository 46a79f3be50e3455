"""The one training loop: plain torch, one process or several (torchrun), resumed by the same command.

Recipe in, batches from the loader, losses of the objective, averaged weights out. Every few minutes the whole state
goes to `state.pt` (written whole or not at all), the averaged weights to `last.safetensors` in float16, and those that
did best on the dev lists to `best.safetensors`. Nothing reads a number off a GPU at every step, so it never waits.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, distributed, nn

from ..config import saved_model_config, to_dict
from ..data.mixing import Mixer
from ..errors import ConfigError, FormatError, TinyWaseError
from ..files import held, make_folder, write_whole
from ..models import Wase
from .beginning import begin_with, read_state, voices_of
from .checkpoint import save_weights
from .dev import dev_scores, render_dev
from .graphed import GraphedUpdate, changeable
from .hardware import Hardware, prepare_hardware
from .loader import batches
from .objectives import Logs, Objective, TrainedSystem, build_objective, mean_logs
from .progress import Every, Numbers, Progress, curve_writer
from .recipe import Recipe
from .remix import reused
from .schedule import learning_rate_factor, schedule_position
from .source import open_mixer

log = logging.getLogger(__name__)
REPORT_S = 30.0
ANEW = "Remove it to begin anew, from last.safetensors by init."  # what to do about a damaged state
CHECK_STEPS = 50  # a GPU waits when its numbers are looked at; a CPU is asked at every step


class Trainer:
    """A training that can be stopped at any moment and goes on from its last state."""

    def __init__(self, recipe: Recipe, *, on_step: Callable[[Progress, Logs], None] | None = None) -> None:
        self.recipe = recipe
        self.hardware: Hardware = prepare_hardware(recipe)
        torch.manual_seed(recipe.seed)
        with self._leader_first():  # who packs the bank if there is none
            mixer = open_mixer(recipe.data, recipe.mix, recipe.model.sample_rate_hz)
        self.system, self.objective = self._build(mixer)
        self.system.to(self.hardware.device)
        self.averaged = self._unaveraged()
        self._averaging: tuple[list[Tensor], list[Tensor]] | None = None  # averages and what they are of
        self.optimizer = self._build_optimizer()
        self.progress = Progress()
        self.on_step = on_step
        self.dev = render_dev(recipe.data, recipe.model.sample_rate_hz) if self.hardware.leads else {}
        self.logs: Logs = {}  # of the latest step
        self.unreported: list[Logs] = []  # of the steps since the latest report
        self._graphed: GraphedUpdate | None = None
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
        system = TrainedSystem(Wase(recipe.model), mixer.voices, margin=recipe.loss.speaker_margin)
        fresh = set(system.model.state_dict())
        for path in recipe.init:
            fresh &= set(begin_with(system, path))
        if recipe.init and fresh:
            log.info("%d tensors begin at random, such as %s: no init has them", len(fresh), min(fresh))
        return system, build_objective(recipe, mixer)

    def _build_optimizer(self) -> torch.optim.Optimizer:
        voiceprint = list(self.system.model.voiceprint_encoder.parameters())
        classifier = list(self.system.classifier.parameters())
        ids = {id(p) for p in (*voiceprint, *classifier)}
        rest = [p for p in self.system.parameters() if id(p) not in ids]
        groups = [
            {"params": parameters, "base_lr": rate, **self._rate_options(rate)}
            for parameters, rate in zip((rest, voiceprint, classifier), self._learning_rates(), strict=True)
        ]
        return torch.optim.AdamW(groups, weight_decay=self.recipe.optimizer.weight_decay, fused=True)

    def _rate_options(self, rate: float) -> dict[str, Any]:
        """Of the optimizer: a recorded step reads its learning rate from a tensor."""
        graphed = self.hardware.graphed
        return {"lr": changeable(rate) if graphed else rate, "capturable": graphed}

    def _learning_rates(self) -> tuple[float, float, float]:
        """Of everything else, of the voiceprint encoder, of the speaker classifier."""
        config = self.recipe.optimizer
        voiceprint = config.voiceprint_learning_rate
        return config.learning_rate, voiceprint, config.classifier_learning_rate or voiceprint

    # The loop

    def run(self) -> Progress:
        """Train until the recipe is done, or until interrupted; the state is saved either way."""
        make_folder(self.recipe.folder)
        with held(self.recipe.folder, "a training") if self.hardware.leads else contextlib.nullcontext():
            return self._run()

    def _run(self) -> Progress:
        self._resume()
        recipe, hardware = self.recipe, self.hardware
        self.system.train()
        first, times = self.progress.step, recipe.optimizer.reuse
        drawn = batches(
            self.objective.draw,
            seed=recipe.seed,
            rank=hardware.rank,
            first_step=first // times,
            processes=recipe.loader_processes,
            pinned=hardware.cuda,
        )
        data = reused(drawn, times, first_step=first, seed=recipe.seed, device=hardware.device) if times > 1 else drawn
        with self._stoppable(), contextlib.closing(drawn), self._curves() as curves:
            self._loop(self._wrapped(), data, curves)
            if hardware.leads:
                self._report(curves)
                self._save()  # first: whatever becomes of the scores, the weights are kept
                if self.dev and self._done:
                    curves(self._evaluate())
                    self._save()
        if hardware.world > 1:
            distributed.barrier()  # whoever leaves while others still use the connections ends them too
            distributed.destroy_process_group()
        return self.progress

    def _curves(self) -> contextlib.AbstractContextManager[Callable[[Numbers], None]]:
        """Where numbers are written; only by the leader."""
        if self.hardware.leads:
            return curve_writer(self.recipe.folder, self.progress)
        return contextlib.nullcontext(lambda numbers: None)

    def _wrapped(self) -> Any:
        """The system as the loop calls it: compiled, and one of several if there are several."""
        wrapped: Any = torch.compile(self.system, dynamic=False) if self.recipe.compile else self.system
        if self.hardware.world > 1:
            # the last block's residual path leads nowhere, and an objective may not use every part
            wrapped = nn.parallel.DistributedDataParallel(
                wrapped,
                find_unused_parameters=True,
                broadcast_buffers=False,  # fixed filters and ranges are the same everywhere
            )
        return wrapped

    @property
    def _looks(self) -> bool:
        """Whether the numbers of the latest step are looked at."""
        return not self.hardware.cuda or self.progress.step % CHECK_STEPS == 0

    @property
    def _done(self) -> bool:
        return self.progress.position >= self.recipe.optimizer.steps

    def _loop(self, wrapped: Any, data: Iterator[dict[str, Tensor]], curves: Callable[[Numbers], None]) -> None:
        recipe, progress = self.recipe, self.progress
        reports, saves, evaluates = (
            Every(seconds) for seconds in (REPORT_S, 60 * recipe.checkpoint_minutes, 60 * recipe.dev_minutes)
        )
        first_step = progress.step
        while not self._over():
            begun = time.monotonic()
            self.logs = self._step(wrapped, next(data))
            if self._looks:
                self._check_finite()
            if progress.step > first_step + 1:
                progress.train_s += time.monotonic() - begun
            progress.position = schedule_position(progress.step, progress.train_s, recipe)
            if not self.hardware.leads:
                continue
            self.unreported.append(self.logs)
            if self.on_step:
                self.on_step(progress, self.logs)
            if reports():
                self._report(curves)
            if saves():
                self._save()
            if self.dev and evaluates():
                curves(self._evaluate())

    def _report(self, curves: Callable[[Numbers], None]) -> None:
        """The losses since the last report, each as its mean: one step's say more of its batch than of the weights."""
        if not self.unreported:
            return
        curves({**mean_logs(self.unreported), "learning_rate": float(self.optimizer.param_groups[0]["lr"])})
        self.unreported.clear()

    def _step(self, wrapped: Any, batch: dict[str, Tensor]) -> Logs:
        """One update of the weights and of their average."""
        recipe, progress, hardware = self.recipe, self.progress, self.hardware
        factor = learning_rate_factor(progress.position, recipe.optimizer)
        for group in self.optimizer.param_groups:
            rate = group["base_lr"] * factor
            group["lr"] = group["lr"].fill_(rate) if isinstance(group["lr"], Tensor) else rate
        if hardware.graphed:
            logs = self._replayed(wrapped, batch)
        else:
            batch = {key: value.to(hardware.device, non_blocking=True) for key, value in batch.items()}
            logs = self._update(wrapped, batch)
        self._average()
        progress.step += 1
        heard = batch["mixture"] if "mixture" in batch else batch["extra_enrollment"]
        progress.audio_s += heard.numel() / recipe.model.sample_rate_hz * hardware.world
        return logs

    def _replayed(self, wrapped: Any, batch: dict[str, Tensor]) -> Logs:
        """`_update`, recorded once and replayed until its form changes."""
        form = self._form()
        if self._graphed is None or self._graphed.form != form:
            self._graphed = GraphedUpdate(lambda static: self._update(wrapped, static), form)
        return self._graphed(batch)

    def _form(self) -> bool:
        """What decides, where the network stays as it is, which operations an update is made of."""
        return True

    def _update(self, wrapped: Any, batch: dict[str, Tensor]) -> Logs:
        """Loss, gradients, and a step of the optimizer."""
        self.optimizer.zero_grad(set_to_none=True)
        with self.hardware.arithmetic():
            loss, logs = self.objective.loss(wrapped, batch, self.progress.position)
        loss.backward()
        logs["gradient"] = nn.utils.clip_grad_norm_(self.system.parameters(), self.recipe.optimizer.clip)
        self.optimizer.step()
        return {**logs, "loss": loss.detach()}

    def _check_finite(self) -> None:
        """Refuse to go on, or to save, once the weights are no numbers.

        Raises:
            TinyWaseError: the loss or the gradient of the latest step is infinite or NaN.
        """
        if self.logs and not torch.isfinite(self.logs["loss"] + self.logs["gradient"]):
            raise TinyWaseError(
                f"the loss became {float(self.logs['loss'])} at step {self.progress.step - 1}, its gradient "
                f"{float(self.logs['gradient'])}. The last state in {self.recipe.folder} is sound: "
                "lower optimizer.learning_rate and run the same command."
            )

    def _trained(self) -> dict[str, Tensor]:
        """What is averaged, by name; of a student (compress.py) only what learns."""
        return self.system.model.state_dict()

    def _unaveraged(self) -> dict[str, Tensor]:
        """Where an average begins."""
        return {key: value.detach().clone() for key, value in self._trained().items()}

    @torch.no_grad()
    def _average(self) -> None:
        """Exponential average of the weights; young averages forget faster."""
        decay = min(self.recipe.optimizer.average, (1 + self.progress.step) / (10 + self.progress.step))
        if self._averaging is None:  # finding them among the modules takes longer than averaging
            current = self._trained()
            self._averaging = list(self.averaged.values()), [current[key] for key in self.averaged]
        torch._foreach_lerp_(*self._averaging, 1 - decay)

    def averaged_model(self) -> Wase:
        """The network with the averaged weights."""
        model = Wase(self.recipe.model).to(self.hardware.device)
        model.load_state_dict(self.averaged)
        return model.eval()

    # Dev lists

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

    def _over(self) -> bool:
        """Whether the recipe is done or any process was asked to stop: all leave at the same step, by one clock."""
        if self.hardware.world > 1:
            facts = torch.tensor([self._stop, self.progress.position], dtype=torch.float64, device=self.hardware.device)
            distributed.all_reduce(facts, distributed.ReduceOp.MAX)
            self._stop, self.progress.position = bool(facts[0]), float(facts[1])
        return self._done or self._stop

    def _save(self) -> None:
        """The whole state, atomically.

        Raises:
            OutputError: the disk is full, or the folder refuses.
        """
        self._check_finite()
        state = {
            "system": self.system.state_dict(),
            "averaged": self.averaged,
            "optimizer": self.optimizer.state_dict(),
            "progress": vars(self.progress),
            "model": to_dict(self.recipe.model),
            "voices": list(self.system.voices),
        }
        saved = io.BytesIO()  # a disk that is full is the system's refusal, which torch would not say
        torch.save(state, saved)
        write_whole(self.recipe.folder / "state.pt", saved.getbuffer(), force=True)
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
            FormatError: it is damaged, or a newer tinywase wrote it.
            ConfigError: it belongs to another network or to other speakers.
        """
        path = self.recipe.folder / "state.pt"
        if not path.exists():
            return
        state = read_state(path, self.hardware.device, remedy=ANEW)
        if saved_model_config(state["model"]) != self.recipe.model:
            raise ConfigError(f"{path} is a training of another network. Give this recipe another 'name' or 'out'.")
        voices = voices_of(state, self.system)
        if voices != self.system.voices:
            raise ConfigError(
                f"{path} is a training on other speakers ({len(voices)} voices, this bank has "
                f"{len(self.system.voices)}). Give this recipe another 'out', and init = [{str(path)!r}] to go on."
            )
        try:
            self._take(state)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise FormatError(f"{path}: not a whole state, or of a newer tinywase ({error}). {ANEW}") from error
        progress = self.progress
        progress.position = schedule_position(progress.step, progress.train_s, self.recipe)
        log.info("going on at step %d (%.2f h of audio)", progress.step, progress.audio_s / 3600)

    def _take(self, state: dict[str, Any]) -> None:
        """Weights, averages, the optimizer's memory and the progress of a state."""
        self.system.load_state_dict(state["system"])
        self.averaged, self._averaging = self._unaveraged() | state["averaged"], None  # older ones did not average
        self.optimizer.load_state_dict(state["optimizer"])
        for group, base in zip(self.optimizer.param_groups, self._learning_rates(), strict=True):
            group |= {"base_lr": base, **self._rate_options(base)}  # recipe and machine may have changed since
            group["weight_decay"] = self.recipe.optimizer.weight_decay
        self.progress = Progress(**state["progress"])
