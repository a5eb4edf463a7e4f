"""A server's worker: takes calls from the front, gives them to the user's function, sends back what it returned."""
