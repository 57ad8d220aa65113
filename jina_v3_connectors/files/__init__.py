"""Documents from folders and JSON Lines files."""
