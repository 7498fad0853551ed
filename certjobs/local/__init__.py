"""For local work only (extra ``local``): an embedded PostgreSQL and a sample roster."""
