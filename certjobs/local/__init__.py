"""For local work only (extra ``local``): an embedded PostgreSQL, a sample roster, a portal simulator."""
