"""What moves: the tree on the nodes, its routes, waves, filters and collectives."""
