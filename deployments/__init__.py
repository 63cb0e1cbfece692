"""What runs the flows: the one command that starts everything, and what it ships."""
