"""What is true: frozen objects, state tables and pure decisions. Standard library only."""
