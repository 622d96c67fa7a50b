"""Logs, metrics, the request log and health."""
