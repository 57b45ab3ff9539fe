"""Real components that are not Python packages: present, or the test says what is missing.

Under SEKISHO_REQUIRE_ALL=1 a missing component fails the test instead of skipping it.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm.module import find_proxy

SOFTHSM_PLACES = (Path("/usr/lib"), Path("/usr/lib64"), Path("/usr/local/lib"))
PIN = "2580-pin"
SO_PIN = "2580-so-pin"


def require(component: str | Path, reason: str) -> Path:
    """The path of a program (by name) or file (by path); skips, or fails where everything is required."""
    found = shutil.which(component) if isinstance(component, str) else component if component.exists() else None
    if found is not None:
        return Path(found)
    text = f"{component} is missing: {reason}"
    if os.environ.get("SEKISHO_REQUIRE_ALL") == "1":
        pytest.fail(text)
    pytest.skip(text)


def require_softhsm() -> tuple[Path, Path]:
    """SoftHSM's module and p11-kit-proxy."""
    require("softhsm2-util", "the PKCS#11 tests make tokens with it (Debian: softhsm2)")
    module = next((p for place in SOFTHSM_PLACES for p in place.rglob("libsofthsm2.so")), None)
    proxy = find_proxy()
    return (
        require(module or Path("libsofthsm2.so"), "the PKCS#11 tests keep keys in it (Debian: libsofthsm2)"),
        require(proxy or Path("p11-kit-proxy.so"), "PKCS#11 is always spoken through it (Debian: p11-kit-modules)"),
    )


@contextmanager
def softhsm_configured(directory: Path) -> Iterator[tuple[Path, Path]]:
    """SoftHSM's tokens in `directory`, reached through p11-kit-proxy: (directory of the tokens, path of the proxy).

    Both libraries read the environment when they are loaded, so this is done once a process, before hsm.token loads
    them; child processes inherit it. A user's module file of the same name replaces the system's.
    """
    module, proxy = require_softhsm()
    tokens = directory / "tokens"
    modules = directory / "config" / "pkcs11" / "modules"
    tokens.mkdir(parents=True)
    modules.mkdir(parents=True)
    conf = directory / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\nlog.level = ERROR\n")
    (modules / "softhsm2.module").write_text(f"module: {module}\n")
    (modules / "p11-kit-trust.module").write_text("enable-in: nothing\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOFTHSM2_CONF", str(conf))
        patch.setenv("XDG_CONFIG_HOME", str(directory / "config"))
        yield tokens, proxy
