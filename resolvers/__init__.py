"""The fields of Query, Mutation and Subscription, most of them a few lines."""
