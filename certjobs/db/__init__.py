"""PostgreSQL: the engine, the tables and one repository module per aggregate. SQL lives here and nowhere else."""
