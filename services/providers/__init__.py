"""The only service that leaves the cluster and holds keys."""
