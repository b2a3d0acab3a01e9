"""The only orchestrator, and the only service that callers need."""
