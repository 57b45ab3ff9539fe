"""The service that the tests of incidents share, made and started once a run."""

from tests.service.incident_kit import field, front_reset

__all__ = ["field", "front_reset"]
