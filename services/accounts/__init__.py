"""Accounts: users, sign-in, sessions, tokens, and the caller that requests are scoped to."""
