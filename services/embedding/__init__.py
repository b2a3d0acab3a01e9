"""Texts to vectors: the one library that two services share. It knows nothing else of the mesh."""
