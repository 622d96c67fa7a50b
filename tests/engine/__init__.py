"""Tests of the engine: whatever is executed, graphql-core gives the same."""
