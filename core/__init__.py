"""What everything stands on: settings, database, errors, tokens, ids."""
