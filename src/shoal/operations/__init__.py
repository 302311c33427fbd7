"""Operating a cluster: what its state is, and plans that put it right."""
