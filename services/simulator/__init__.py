"""A stand-in for a fleet of models that speaks the OpenAI chat wire format and keeps its own books."""
