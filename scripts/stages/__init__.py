"""The stages of the tests: what they are, and how they are run."""
