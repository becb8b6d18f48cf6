"""What touches the world: stores, launchers, notifiers and engines."""
