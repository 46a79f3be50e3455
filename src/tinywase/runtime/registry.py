"""Names of models: those in the package, the alias `default`, and files by their path."""

from __future__ import annotations

import difflib
from pathlib import Path

from ..errors import ConfigError

MODELS = Path(__file__).resolve().parent.parent / "assets" / "models"
SUFFIX = ".twase"
DEFAULT = "default"
ALIASES = {DEFAULT: "small"}  # what users get who do not choose


def model_names() -> list[str]:
    """Names of the bundled models."""
    return sorted(path.stem for path in MODELS.glob(f"*{SUFFIX}"))


def find_model(name_or_path: str | Path) -> Path:
    """The file of a bundled model, or of a path.

    Raises:
        ConfigError: neither; the message lists the names, the closest one first.
    """
    text, path = str(name_or_path), Path(name_or_path)
    if isinstance(name_or_path, Path) and path.is_file():
        return path
    bundled = MODELS / f"{ALIASES.get(text, text)}{SUFFIX}"
    if path.name == text and bundled.is_file():
        return bundled
    if path.is_file():
        return path
    if path.is_dir():
        raise ConfigError(f"model '{text}' is a folder: give one of its {SUFFIX} files, or a name: {_known()}.")
    close = difflib.get_close_matches(Path(text).stem, [DEFAULT, *model_names()], n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    raise ConfigError(f"there is no model '{text}', neither as a file nor by that name.{hint} Known names: {_known()}.")


def _known() -> str:
    return ", ".join([DEFAULT, *model_names()]) if model_names() else "none, this package comes without models"
