"""The HTTP edge of the router: the formats of OpenAI and Anthropic in front of the same pipeline."""
