"""Notifications: the texts of messages, and the channels that they are sent to."""
