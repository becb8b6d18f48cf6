"""`hawse proxy`: what ssh runs on the far side. The standard library only, and little of it."""
