"""How fast and how small it is here: what `tinywase bench` measures. Nothing else of the package needs it."""
