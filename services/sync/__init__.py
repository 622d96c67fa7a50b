"""Sync: the log of a user's changes after a cursor, and the housekeeping that bounds it."""
