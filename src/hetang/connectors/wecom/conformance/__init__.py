"""What the platform really answers, beside what the simulator does: for a person with a real test corp."""
