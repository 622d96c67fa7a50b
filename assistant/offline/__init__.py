"""The offline model: understands plain requests by rules, and drives the same tools as any other model."""
