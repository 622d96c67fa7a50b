"""The REST door: the same services as thin routes, documented at /docs."""
