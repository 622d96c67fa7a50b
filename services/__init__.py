"""The rules and all SQL: typed functions that take a session and a caller."""
