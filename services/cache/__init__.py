"""The cache service: answers that were given before, kept apart by tenant and scope."""
