"""What can go wrong in issuing. One root; every leaf has a stable code and its facts, and none holds content."""

from typing import ClassVar


class IssuanceError(Exception):
    """Root of this package's errors. `code` never changes its meaning."""

    code: ClassVar[str] = "issuance"


class Withheld(IssuanceError):  # noqa: N818  named after the fact
    """What a municipality sent is not the document that was asked for; it was dropped.

    kind: of the incident (gateway.issuance.incidents.IncidentKind); detail: a code without content.
    """

    code: ClassVar[str] = "withheld"

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"the reply was dropped: {kind} ({detail})")
        self.kind = kind
        self.detail = detail


class MunicipalityAway(IssuanceError):  # noqa: N818  named after the fact
    """A municipality cannot be asked now. ground: away, slow, full, broken or declined."""

    code: ClassVar[str] = "municipality-away"

    def __init__(self, ground: str) -> None:
        super().__init__(f"the municipality cannot be asked now: {ground}")
        self.ground = ground


class StateCorrupt(IssuanceError):  # noqa: N818  the field speaks of the state of the store, not of an error
    """What is stored of an application contradicts itself. Ours to mend; nothing is released."""

    code: ClassVar[str] = "application-corrupt"

    def __init__(self, ground: str) -> None:
        super().__init__(f"an application's rows contradict each other: {ground}")
        self.ground = ground
