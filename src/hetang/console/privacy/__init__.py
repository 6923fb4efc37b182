"""Pages of whoever answers for personal data: what is kept how long, by which rules, under which keys."""
