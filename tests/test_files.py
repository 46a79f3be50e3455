"""Files that are written whole: what they take the place of, and what they never do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tinywase.errors import OutputError
from tinywase.files import refuse_output, whole_file, write_whole


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_or_device_is_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    for name in ("pipe", "link"):
        with pytest.raises(OutputError, match=rf"{name}' is a device or a pipe, .*: give a file name"):
            refuse_output(tmp_path / name, force=True)


def test_a_link_stays_and_what_it_means_is_written(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "file")
    write_whole(tmp_path / "link", b"new")
    with pytest.raises(OutputError, match="link' exists already"):
        write_whole(tmp_path / "link", b"newer")
    write_whole(tmp_path / "link", b"newest", force=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "far" / "file").read_bytes() == b"newest"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["far", "file", "link"]


def test_what_appears_meanwhile_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "a"
    writing = whole_file(path)
    writing.__enter__().write_bytes(b"ours")
    path.write_bytes(b"theirs")
    with pytest.raises(OutputError, match="a' exists already"):
        writing.__exit__(None, None, None)
    assert path.read_bytes() == b"theirs"
    with whole_file(path, force=True) as part:
        part.write_bytes(b"ours")
    assert path.read_bytes() == b"ours"
    assert list(tmp_path.iterdir()) == [path]


def test_bytes_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync, replace = os.fsync, os.replace

    def noted(stream: int) -> None:
        fsync(stream)
        synced.append(os.fstat(stream).st_ino)

    def checked(source: Path, target: Path) -> None:
        assert os.stat(source).st_ino in synced
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "replace", checked)
    with whole_file(tmp_path / "a", force=True) as part:
        part.write_bytes(b"ours")
    write_whole(tmp_path / "b", b"ours", force=True)
    assert len(synced) == 2


def test_a_file_system_without_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(source: Path, target: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refusing)
    write_whole(tmp_path / "a", b"ours")
    assert (tmp_path / "a").read_bytes() == b"ours" and list(tmp_path.iterdir()) == [tmp_path / "a"]
