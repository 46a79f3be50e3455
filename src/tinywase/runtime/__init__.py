"""Running packed models: the native core, its numpy reference, and the extractor that users call. No torch."""
