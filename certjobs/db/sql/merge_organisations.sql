-- An organisation that the file is the first to name starts with every flag off: nothing happens to its mentors by itself.
WITH added AS (
    INSERT INTO organisations (code)
    SELECT DISTINCT organisation FROM roster_staging
    EXCEPT SELECT code FROM organisations
    RETURNING 1
)
SELECT count(*), 0 FROM added
