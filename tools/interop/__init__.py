"""make interop: the mesh before a model server that nobody here wrote."""
