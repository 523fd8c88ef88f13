"""Pure values and decisions: no clock, network, log or environment in here."""
