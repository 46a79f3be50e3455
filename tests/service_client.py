"""A client of the service for its tests, and what it sends."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from demo import DEMO
from fastapi.testclient import TestClient

from tinywase.server.app import build_app
from tinywase.server.catalogue import Catalogue

MIXTURE, ENROLLMENT = DEMO / "mixture.flac", DEMO / "enrollment.flac"
BOTH = {"Accept": "multipart/form-data"}
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(["nano", "live"])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the service puts what it is sent."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def client(catalogue: Catalogue, folder: Path) -> Iterator[TestClient]:
    with TestClient(build_app(catalogue, max_bytes=1_000_000, most_streams=1)) as client:
        yield client
    assert not list(folder.glob("tinywase-*"))  # nothing is kept


def files(**paths: Path | list[Path]) -> list[tuple[str, tuple[str, bytes]]]:
    pairs = [(name, path) for name, given in paths.items() for path in (given if isinstance(given, list) else [given])]
    return [(name, (path.name, path.read_bytes())) for name, path in pairs]


def parts(answer: httpx.Response) -> dict[str, Any]:
    """The parts of a multipart answer: name -> (file's name, content)."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    found: dict[str, Any] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + answer.content).iter_parts():
        name = str(part.get_param("name", header="content-disposition"))
        found[name] = (part.get_filename(), part.get_payload(decode=True))
    return found


def error(answer: httpx.Response) -> str:
    return str(answer.json()["error"])
