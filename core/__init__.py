"""Settings, database, errors, tokens and ids, on which all other packages build."""
