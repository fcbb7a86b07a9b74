"""WHAT is drawn in a random environment: laws of next-token distributions."""
