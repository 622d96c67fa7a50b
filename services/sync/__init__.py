"""What changed for a user after a cursor, and how long that can be asked for."""
