"""The issue, line by line, seen from outside: a real venue process, HTTP and the command line only."""
