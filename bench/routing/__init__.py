"""bench.routing: is the router's prediction worth money? See __main__.py."""
