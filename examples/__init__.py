"""Clients in three languages, and what runs them against a mesh."""
