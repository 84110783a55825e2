"""Runs: what they are, which of them an experiment needs, how they are executed, and where they are kept."""
