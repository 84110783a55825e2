"""Published tables: a folder with the table, what made it, and the ranks from which anybody recomputes it."""
