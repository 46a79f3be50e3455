"""The WASE network in torch: one definition for float, fake-quantized, shared, causal and streaming use."""

from .wase import Extraction, Wase

__all__ = ["Extraction", "Wase"]
