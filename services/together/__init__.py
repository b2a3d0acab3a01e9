"""The only package that puts several services together: in one process, or as four."""
