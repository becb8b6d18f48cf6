"""What is needed: the contracts of stores, launchers, transports, notifiers and clocks."""
