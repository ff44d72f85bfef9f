"""The proxy: relays every byte between a client and the service, observes, records and explains."""
