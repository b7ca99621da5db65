"""What is fitted, on what, in which order, and what is written down: true of every framework."""
