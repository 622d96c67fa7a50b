"""GraphQL: the endpoint, its transports, documents and their limits."""
