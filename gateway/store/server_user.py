"""Who the embedded server runs as, and what that user may reach.

PostgreSQL refuses to run as root. As root we run it as a system user of its own, made on first use. Where that user
cannot get to a directory (a checkout under /root), it alone is let through the directories above by an ACL entry
`--x`: it may pass, and neither list nor read. An ordinary user runs the server as itself, and nothing here does
anything.
"""

import os
import pwd
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Final

from gateway.store.errors import EmbeddedError

SYSTEM_USER: Final = "sekisho-pg"
USERADD_S_MAX: Final = 30.0

_ACL_XATTR: Final = "system.posix_acl_access"
_ACL_USER_OBJ, _ACL_USER, _ACL_GROUP_OBJ, _ACL_MASK, _ACL_OTHER = 0x01, 0x02, 0x04, 0x10, 0x20
_ACL_NOBODY: Final = 0xFFFF_FFFF


def server_user() -> pwd.struct_passwd | None:
    """Who the server runs as, if not as we do: PostgreSQL refuses root."""
    if os.geteuid() != 0:
        return None
    for attempt in range(2):
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
            if attempt or useradd is None:
                break
            arguments = ["--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER]
            # Its failure shows in the next look: another process may have made the user in between.
            subprocess.run([useradd, *arguments], capture_output=True, check=False, timeout=USERADD_S_MAX)  # noqa: S603
    raise EmbeddedError(f"running as root needs the system user {SYSTEM_USER}; make it, or run as an ordinary user")


def let_through(path: Path, user: pwd.struct_passwd) -> None:
    """Let the server's user, and no one else, pass through `path` and the directories above it."""
    for directory in (path, *path.parents):
        status = directory.stat()
        if status.st_uid == user.pw_uid or status.st_mode & 0o001:
            continue
        try:
            _add_search_entry(directory, user.pw_uid)
        except OSError as error:
            reason = f"user {SYSTEM_USER} cannot pass through {directory} ({error.strerror}); choose another directory"
            raise EmbeddedError(reason) from error


def _add_search_entry(directory: Path, uid: int) -> None:
    """Add `user:uid:--x` to the directory's ACL.

    Shape of the attribute: u32 version (2), then sorted entries of u16 tag, u16 permissions, u32 id; little-endian.
    """
    mode = directory.stat().st_mode
    try:
        raw = os.getxattr(directory, _ACL_XATTR)
        entries = {(tag, who): bits for tag, bits, who in struct.iter_unpack("<HHI", raw[4:])}
    except OSError:
        entries = {
            (_ACL_USER_OBJ, _ACL_NOBODY): mode >> 6 & 7,
            (_ACL_GROUP_OBJ, _ACL_NOBODY): mode >> 3 & 7,
            (_ACL_OTHER, _ACL_NOBODY): mode & 7,
        }
    mask = entries.get((_ACL_MASK, _ACL_NOBODY), mode >> 3 & 7)
    entries[_ACL_USER, uid] = 1
    entries[_ACL_MASK, _ACL_NOBODY] = mask | 1
    body = b"".join(struct.pack("<HHI", tag, bits, who) for (tag, who), bits in sorted(entries.items()))
    os.setxattr(directory, _ACL_XATTR, struct.pack("<I", 2) + body)


def let_read(tree: Path, user: pwd.struct_passwd) -> None:
    """Make an installation that was unpacked under a tight umask readable; it holds nothing private."""
    if (tree / "bin" / "postgres").stat().st_mode & 0o005 == 0o005 or tree.stat().st_uid == user.pw_uid:
        return
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(mode | 0o444 | (0o111 if mode & 0o100 else 0))
