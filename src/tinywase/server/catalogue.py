"""The models that a service offers, open from its start on and known by their names alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ConfigError
from ..runtime.extractor import Extractor


class Catalogue:
    """Extractors by name, in the order given; clients choose among these names and reach no other file."""

    def __init__(self, models: Sequence[str], *, runtime: str = "auto", threads: int | None = None) -> None:
        """Open the models.

        Args:
            models: bundled names or files; a file is known by its name without suffix.
            threads: for one recording; None: two where there are two processors.

        Raises:
            ConfigError: no model, one that cannot be found, or two of the same name.
            FormatError: a damaged model.
        """
        self._extractors: dict[str, Extractor] = {}
        for model in models:
            extractor = Extractor.from_pretrained(model, runtime=runtime, threads=threads)
            name = extractor.model.name
            if name in self._extractors:
                raise ConfigError(f"two models are called '{name}', expected different names. Leave one out.")
            self._extractors[name] = extractor
        if not self._extractors:
            raise ConfigError("no model to serve, expected at least one. Give a bundled name or a file.")

    def find(self, name: str = "", *, causal: bool | None = None) -> Extractor:
        """The model of that name; without a name the first, of the kind asked for if there is one.

        Raises:
            ConfigError: there is none.
        """
        if not name:
            fitting = [e for e in self._extractors.values() if causal in (None, e.model.config.causal)]
            return (fitting or list(self._extractors.values()))[0]
        if name not in self._extractors:
            raise ConfigError(f"there is no model '{name}' here. Known names: {', '.join(self._extractors)}.")
        return self._extractors[name]

    def listed(self) -> list[dict[str, Any]]:
        """What a client chooses by, in plain values; latency_ms is None where a model needs the whole recording."""
        rows = []
        for name, extractor in self._extractors.items():
            model = extractor.model
            latency, rate_hz = model.config.latency_samples, model.config.sample_rate_hz
            rows.append(
                {
                    "name": name,
                    "causal": model.config.causal,
                    "sample_rate_hz": rate_hz,
                    "latency_ms": None if latency is None else 1000 * latency / rate_hz,
                    "file_bytes": model.path.stat().st_size,
                    "purpose": model.card.get("purpose"),
                }
            )
        return rows
