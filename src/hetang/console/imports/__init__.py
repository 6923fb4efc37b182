"""Imports: choose a file, say what its columns mean, check it, run it, read what was not taken."""
