"""Many trials: one after another or in several processes, and what stays when somebody presses Ctrl-C."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..data.trials import Trial
from .score import Failure, Row, TrialScore, score_trial
from .systems import System

THREADS = "OMP_NUM_THREADS"  # of numpy and torch; processes inherit it


@dataclass(frozen=True)
class Evaluation:
    """Rows and failures in the order of the list, then of the systems."""

    systems: tuple[str, ...]
    runtimes: tuple[str, ...]  # of the systems, see `System`
    rows: tuple[Row, ...]
    failures: tuple[Failure, ...]
    trials: int  # asked for
    trials_done: int  # fewer where it was interrupted


def evaluate(
    open_all: Callable[[], Sequence[System]],
    trials: Sequence[Trial],
    *,
    metrics: Sequence[str],
    jobs: int = 1,
    opened: Sequence[System] | None = None,
    on_trial: Callable[[TrialScore], None] = lambda score: None,
) -> Evaluation:
    """Score every system on every trial.

    `open_all` makes the systems: once here, unless it has and they are `opened`, and once in each process if `jobs` > 1
    (then it must be picklable, such as `functools.partial(open_systems, names)`). `on_trial` hears of each trial as it
    ends. Ctrl-C ends the run and keeps the trials done so far.
    """
    systems = open_all() if opened is None else opened
    scores: list[TrialScore] = []
    running = _here(systems, trials, metrics) if jobs == 1 else _in_processes(open_all, trials, metrics, jobs)
    try:
        for score in running:
            scores.append(score)
            on_trial(score)
    except KeyboardInterrupt:
        running.close()
    scores.sort(key=lambda score: score.position)
    return Evaluation(
        systems=tuple(system.name for system in systems),
        runtimes=tuple(system.runtime for system in systems),
        rows=tuple(row for score in scores for row in score.rows),
        failures=tuple(failure for score in scores for failure in score.failures),
        trials=len(trials),
        trials_done=len(scores),
    )


def _here(systems: Sequence[System], trials: Sequence[Trial], metrics: Sequence[str]) -> Generator[TrialScore]:
    for position, trial in enumerate(trials):
        yield score_trial(position, trial, systems=systems, metrics=metrics)


def _in_processes(
    open_all: Callable[[], Sequence[System]], trials: Sequence[Trial], metrics: Sequence[str], jobs: int
) -> Generator[TrialScore]:
    """Trials in the order in which they end. A process that dies becomes failures, not an end of the run."""
    fresh = multiprocessing.get_context("spawn")  # a fork of a process that has run torch or BLAS threads may hang
    pool = ProcessPoolExecutor(jobs, mp_context=fresh, initializer=_start_worker, initargs=(open_all, tuple(metrics)))
    try:
        with _one_thread_each():  # the pool starts its processes as it gets its tasks
            futures: dict[Future[TrialScore], int] = {
                pool.submit(_score_in_worker, position, trial): position for position, trial in enumerate(trials)
            }
        for future in as_completed(futures):
            position = futures[future]
            error = future.exception()
            yield future.result() if error is None else _died(position, trials[position], error)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """For processes that are started meanwhile, unless the caller said how many: with a thread per core each they would
    only queue."""
    if THREADS in os.environ:
        yield
        return
    os.environ[THREADS] = "1"
    try:
        yield
    finally:
        os.environ.pop(THREADS, None)


def _died(position: int, trial: Trial, error: BaseException) -> TrialScore:
    message = f"{type(error).__name__}: {error} Out of memory? Use fewer --jobs."
    return TrialScore(position, (), (Failure(position, trial.mixture_id, trial.line, "", message),))


@dataclass
class _Worker:
    """What a worker process keeps between trials: opening a model for each would cost more than running it."""

    systems: Sequence[System] = ()
    metrics: Sequence[str] = field(default_factory=tuple)


_WORKER = _Worker()  # set once, in worker processes only


def _start_worker(open_all: Callable[[], Sequence[System]], metrics: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of the terminal; the parent decides
    _WORKER.systems, _WORKER.metrics = open_all(), metrics


def _score_in_worker(position: int, trial: Trial) -> TrialScore:
    return score_trial(position, trial, systems=_WORKER.systems, metrics=_WORKER.metrics)
