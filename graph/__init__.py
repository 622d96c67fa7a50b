"""GraphQL types mapped from the tables, and what resolvers share: context, loaders, connections."""
