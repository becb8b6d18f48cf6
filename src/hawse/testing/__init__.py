"""How it is proved: the public test kits and the simulator."""
