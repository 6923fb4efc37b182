"""Members of the corp as users of the console: where their departments lie, which roles follow, who is locked."""
