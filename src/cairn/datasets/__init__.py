"""Labels: read, written, held in one form."""
