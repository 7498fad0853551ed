"""Tests on real PostgreSQL: each database test gets a clone of a migrated template of its own."""
