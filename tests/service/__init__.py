"""The certificate service as a whole: every program real, on one machine."""
