"""The jobs: plain functions ``job(ctx) -> Outcome``. They decide and act; they know no clock, no engine, no exit."""
