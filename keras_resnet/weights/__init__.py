"""Floor 3: getting numbers into models, and nothing else out of files."""
