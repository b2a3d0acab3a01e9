"""Which task a prompt is: said, found by rules, or by its meaning."""
