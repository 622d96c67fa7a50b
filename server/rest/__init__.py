"""The REST API: thin routes over the same services as GraphQL, documented at /docs."""
