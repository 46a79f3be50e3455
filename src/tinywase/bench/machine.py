"""What was measured on what: processor, kernels, compiler, versions. Figures without these say nothing."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .. import __version__
from ..compiled import find_compiled
from ..processor import processor_name
from ..runtime.threads import allowed_processors


@dataclass(frozen=True)
class Machine:
    """The heading of every table."""

    processor: str
    processors: int  # that this process may use
    instruction_sets: tuple[str, ...]  # whose kernels run here, best first; none without the native part
    isa: str  # the kernels in use
    compiler: str  # of the native part
    system: str
    python: str
    tinywase: str


def describe() -> Machine:
    """This machine, this build."""
    native, _ = find_compiled()
    if native is None:
        sets, compiler = (), "none: the numpy reference computes"
    else:
        sets, compiler = tuple(native.instruction_sets()), str(native.compiler)
    return Machine(
        processor=processor_name(),
        processors=len(allowed_processors()),
        instruction_sets=sets,
        isa=os.environ.get("TINYWASE_ISA") or next(iter(sets), "numpy"),
        compiler=compiler,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        tinywase=__version__,
    )


@contextmanager
def pinned(count: int = 1) -> Iterator[None]:
    """This thread on the first `count` processors that it may use, where the system can do that."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
