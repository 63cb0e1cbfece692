"""What happens, in which order: each flow reads as a table of contents."""
