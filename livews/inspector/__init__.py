"""The inspector: a page that shows sessions while they run, and sends messages into them."""
