"""The application: schema, endpoint, limits, logs, metrics and the command line."""
