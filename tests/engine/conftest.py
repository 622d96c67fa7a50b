"""What the tests of the server's own schema are given: the houses that those of its types are given."""

from tests.graph.conftest import fifty_of_each, one_of_each

__all__ = ["fifty_of_each", "one_of_each"]
