"""Where logs are read from."""
