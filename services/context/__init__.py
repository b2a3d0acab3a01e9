"""Makes a conversation fit a window, and counts its tokens."""
