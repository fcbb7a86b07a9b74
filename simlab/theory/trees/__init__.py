"""Draft trees: the best one, and what decoding with it takes, exactly."""
