"""What people in the simulated world do, and how a world is made: calls below `/simulator/`, one module per kind."""
