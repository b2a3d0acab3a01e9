"""The commands behind the figures that the project states."""
