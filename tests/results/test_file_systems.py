from __future__ import annotations

from pathlib import Path

import pytest

from sequela.results.file_systems import network_file_system

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /data rw shared:2 - nfs4 server:/export rw,vers=4.2
31 30 8:2 / /data/local rw shared:3 - xfs /dev/sdb1 rw
32 22 0:27 / /with\\040space rw - fuse.sshfs host:/ rw
33 22 0:28 / /twice rw - ext4 /dev/sdc1 rw
34 22 0:29 / /twice rw master:4 propagate_from:2 - cifs //server/share rw
broken
"""


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("/home/runs", ""),
        ("/data", "nfs4"),
        ("/data/runs/one", "nfs4"),
        ("/database", ""),
        ("/data/local/runs", ""),
        ("/with space/x", "fuse.sshfs"),
        ("/twice", "cifs"),
    ],
)
def test_the_mount_that_holds_a_folder_decides(tmp_path: Path, folder: str, found: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    assert network_file_system(Path(folder), mounts) == found


def test_a_system_without_such_a_file(tmp_path: Path) -> None:
    assert network_file_system(tmp_path, tmp_path / "nothing") == ""


def test_this_file_system_is_found_or_local() -> None:
    assert isinstance(network_file_system(Path()), str)
