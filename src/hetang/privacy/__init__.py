"""Personal data: who looked, what may leave the house, what is kept and for how long, and how it is erased."""
