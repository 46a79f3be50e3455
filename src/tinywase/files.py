"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


def refuse_output(path: str | Path, *, force: bool = False) -> Path:
    """The file that `path` means, links followed, if it may be made; ask before long work.

    Raises:
        OutputError: it is a folder, a device or a pipe, or exists and `force` is false, or its folder is missing or
            refuses.
    """
    path = Path(path)
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    if path.is_dir():
        raise OutputError(f"'{path}' is a folder: give a file name.")
    if path.exists() and not path.is_file():
        raise OutputError(f"'{path}' is a device or a pipe, which a file cannot replace: give a file name.")
    if path.exists() and not force:
        raise _exists(path)
    if not target.parent.is_dir():
        raise OutputError(f"folder '{target.parent}' does not exist: create it or put '{path.name}' elsewhere.")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"folder '{target.parent}' may not be written to: put '{path.name}' elsewhere.")
    return target


def refuse_replaced(outputs: Iterable[Path], sources: Iterable[Path]) -> None:
    """No result takes the place of what it is made from, whatever is allowed to be replaced.

    Raises:
        OutputError: one would.
    """
    kept = {path.resolve() for path in sources}
    for path in outputs:
        if path.resolve() in kept:
            raise OutputError(f"'{path}' is what the result is made from. Give the result another name or folder.")


def _exists(path: Path) -> OutputError:
    return OutputError(f"'{path}' exists already. Choose another name or allow replacing it: --force, force=True.")


@contextmanager
def whole_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary path next to `path` to write to; it becomes `path`, flushed to the disk, when the block ends well and
    vanishes otherwise.

    Raises:
        OutputError: `refuse_output` refuses, or the folder does, or `force` is false and `path` exists by then.
    """
    path, target = Path(path), refuse_output(path, force=force)
    part = target.with_name(f".{secrets.token_hex(8)}.part")  # no part of its name, which may be as long as may be
    with writing(path):
        part.touch(exist_ok=False)
    try:
        yield part
        with writing(path):
            _flush(part)
            _take_name(part, target, force=force)
    finally:
        part.unlink(missing_ok=True)


def _flush(part: Path) -> None:
    """To the disk before the name appears, so that losing power then never leaves an empty file under it."""
    with part.open("rb+") as stream:
        os.fsync(stream.fileno())


def _take_name(part: Path, target: Path, *, force: bool) -> None:
    """`part` becomes `target`; unforced by a link, which unlike a rename replaces nothing that appeared meanwhile."""
    if not force:
        try:
            os.link(part, target)
        except FileExistsError:
            raise _exists(target) from None
        except OSError:  # a file system without links
            pass
        else:
            return
    os.replace(part, target)


def write_whole(path: str | Path, data: bytes | memoryview, *, force: bool = False) -> None:
    """Write `data` to `path`; see `whole_file`."""
    with whole_file(path, force=force) as part, writing(Path(path)):
        part.write_bytes(data)


def write_text(path: str | Path, text: str, *, force: bool = False) -> None:
    """`write_whole` for reports in UTF-8; what file names hold that is no text becomes question marks, as on screen."""
    write_whole(path, text.encode(errors="replace"), force=force)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """The system's refusals as ours, with the name of the file that was asked for.

    Raises:
        OutputError: instead of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write '{path}': {error.strerror or error}. Choose another folder.") from error


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """A folder that one process at a time writes to; left free by whoever ends, however it ends.

    Raises:
        OutputError: another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # Windows: nothing of this kind is let go when a process dies
        yield
        return
    with writing(folder):
        lock = (folder / ".lock").open("w")
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{what} is running in '{folder}' already: wait for it, or choose another folder."
            raise OutputError(message) from None
        except OSError:  # a file system without locks
            pass
        yield


def make_folder(folder: Path) -> None:
    """A folder for results, if it is not there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"folder '{folder}' cannot be made ({error.strerror}). Choose another place.") from None
