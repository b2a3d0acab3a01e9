"""What the router learns, and from what: outcomes that are told, judged, or asked for in the background."""
