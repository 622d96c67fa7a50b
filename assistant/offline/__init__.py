"""The offline model: a deterministic double of a language model, which reads a documented list of sentences."""
