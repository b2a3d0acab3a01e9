"""Makes the verifier that ships: pairs by rules, features of the service, a small gradient boosting as plain arrays."""
