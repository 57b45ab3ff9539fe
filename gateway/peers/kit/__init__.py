"""The centre's versioned rendering and anti-forgery kit, which every issuing municipality runs (001 12-3).

content: what a certificate says, cut into pages. rendering: the signed PDF. reading: every page's code, read back from
the picture of the page. verdict: what a file or a photographed page proves.
"""

from typing import Final

KIT: Final = "kit-2026.1"
"""This kit's version, as it stands in every manifest; the centre refuses manifests of retired versions."""
