"""Sessions that outlive their connections, against a service of the tests' own."""
