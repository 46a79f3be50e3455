"""Speech in: lists, readers, packed banks, on-the-fly mixtures. No torch here."""
