"""bench.context: what is still there when the window is full, and how warm the provider's prompt cache stays."""
