"""How good an answer each model would give, and at what cost, before any of them is asked. Pure; numpy alone."""
