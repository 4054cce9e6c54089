"""The kind of file system that a folder is on."""

from __future__ import annotations

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
"""The file in which Linux lists the mounted file systems; other systems have none."""

NETWORK_FILE_SYSTEMS = frozenset(
    {
        "9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.juicefs", "fuse.s3fs",
        "fuse.sshfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs",
        "panfs", "smb3", "smbfs", "virtiofs", "wekafs",
    }
)  # fmt: skip
"""File systems whose files several machines, or a machine and its host, open at the same time."""


def network_file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """Returns the kind of the network file system that a folder is on; empty if it is on none, or unknown.

    Args:
        folder: The folder.
        mounts: The file that lists the mounted file systems, in the format of `proc(5)`.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        resolved = folder.resolve()
    except OSError:  # such as on macOS; SQLite itself then says whether it can keep a log
        return ""
    best, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, types = before.split(), after.split()
        if len(fields) < 5 or not types:
            continue
        point = Path(_unescaped(fields[4]))
        # Of several mounts of one folder the last one counts.
        if len(point.parts) >= best and resolved.is_relative_to(point):
            best, kind = len(point.parts), types[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else ""


def _unescaped(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
