"""What all owned entities share: validation, create, update, delete, revision, idempotency, tombstones, history."""
