"""Nightly jobs that keep expired peer mentors off the public website and warn their coordinators in time."""

__version__ = "0.1.0"
