"""Who meets whom: the composition roots, the only place that names adapters."""
