"""Channels that carry notices to coordinators, each a Notifier."""
