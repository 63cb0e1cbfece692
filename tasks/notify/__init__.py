"""Telling people: what a message says, and the channels it goes through."""
