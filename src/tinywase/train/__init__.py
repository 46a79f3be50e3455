"""Training, compression and export of models (torch)."""
