"""The fields of Query and Mutation, one file an entity, each a few lines."""
