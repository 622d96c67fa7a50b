"""Queries that all domains share: keyset pagination, filters, ordering, and lookup by id."""
