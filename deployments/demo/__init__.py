"""`make demo`: a small invented ministry on loopback, watched on four days."""
