"""Building libboc, and installing it where C and C++ programs find it."""
