"""SoftHSM tokens for tests: made, taken away, put back."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hsm.token import TokenKeystore
from tests.kit.components import PIN, SO_PIN


@dataclass(frozen=True)
class Softhsm:
    """The directory of the tokens, and p11-kit-proxy."""

    tokens: Path
    proxy: str

    def make_token(self, label: str) -> Path:
        """Initialise a token; the directory that holds it."""
        before = set(self.tokens.iterdir())
        subprocess.run(
            ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", PIN, "--so-pin", SO_PIN],
            check=True,
            capture_output=True,
        )
        (made,) = set(self.tokens.iterdir()) - before
        return made

    def uri(self, label: str) -> str:
        return f"pkcs11:token={label};module-path={self.proxy}"

    def open(self, label: str, **settings) -> TokenKeystore:
        return TokenKeystore.open(self.proxy, label, PIN, **settings)

    def create(self, label: str, *, owner: str = "centre") -> TokenKeystore:
        return TokenKeystore.create(self.proxy, label, PIN, owner=owner)


def copy_token(token: Path, backup: Path) -> None:
    shutil.copytree(token, backup)


def lose_token(token: Path) -> None:
    """As after a delete: the token and its objects are gone, at once (SoftHSM makes lock files while it is used)."""
    gone = token.parent.parent / f"gone-{token.name}"
    token.rename(gone)
    shutil.rmtree(gone)


def restore_token(token: Path, backup: Path) -> None:
    """Put the token back whole at once."""
    draft = backup.with_name(backup.name + ".draft")
    shutil.copytree(backup, draft)
    draft.rename(token)
