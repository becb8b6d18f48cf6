"""What is done: one verb is one function, and it awaits ports only."""
