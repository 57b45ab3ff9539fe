"""The schema, as plain SQL files `NNNN_name.sql`, applied in order by gateway.store.migrate."""
