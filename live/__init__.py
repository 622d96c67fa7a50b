"""Wakes whoever waits for a user's changes; the database is the truth, a wake-up is only a hint."""
