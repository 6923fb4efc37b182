"""A customer’s copy of what is held about her: written for people, and described for programs."""
