"""The `omnisphere` command."""
