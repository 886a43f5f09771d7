package cli

import "testing"

func TestNotLocal_NamesFileSystemsOfOtherMachines(t *testing.T) {
	t.Parallel()
	for magic, want := range map[uint32]string{
		0x6969: "NFS", 0x517b: "SMB", 0xff534d42: "SMB", 0xfe534d42: "SMB", 0x01021997: "9p", 0x5346414f: "AFS", 0x6b414653: "AFS",
		0x73757245: "Coda", 0x00c36400: "Ceph", 0x0bd00bd0: "Lustre", 0x65735546: fuse, 0x19830326: "BeeGFS", 0x47504653: "GPFS",
		0x01161970: "GFS2", 0x7461636f: "OCFS2", 0x564c: "NCP", 0xaad7aaea: "PanFS", 0xbeefdead: "StorNext",
		0x786f4256: "VirtualBox shared folder", 0xbacbacbc: "VMware shared folder",
		0xef53: "", 0x58465342: "", 0x9123683e: "", 0x2fc12fc1: "", 0x01021994: "", 0x794c7630: "", 0xf2f52010: "", 0: "", // ext4, XFS, btrfs, ZFS, tmpfs, overlay, F2FS
	} {
		if got := notLocal(magic); got != want {
			t.Errorf("%#x: %q, want %q", magic, got, want)
		}
	}
}

func TestDiskOf_TellsTheRoomOfAFolderThatIsThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if d, known := diskOf(dir); !known || d.free == 0 {
		t.Errorf("got %+v, %v", d, known)
	}
	if _, known := diskOf(dir + "/missing"); known {
		t.Error("a folder that is not there is told of")
	}
}
