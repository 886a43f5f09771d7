package cli

import (
	"golang.org/x/sys/unix"
)

// errNotDirectory is a path through what is no folder.
const errNotDirectory = unix.ENOTDIR

// writable reports whether this user may write to a file, or make files in a
// folder. It asks, and does not try.
func writable(path string) bool {
	return unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS) == nil
}

// diskOf tells where a folder is.
func diskOf(folder string) (disk, bool) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return disk{}, false
	}
	return disk{notLocal(uint32(st.Type)), st.Bavail * uint64(st.Bsize)}, true
}

// notLocal names the file system with a magic number of statfs(2), if other
// machines share it or nobody can tell.
func notLocal(magic uint32) string {
	// Those that are not in the kernel's own tree have no names in package unix.
	const (
		beegfs  = 0x19830326
		gfs2    = 0x01161970
		gpfs    = 0x47504653
		lustre  = 0x0bd00bd0
		panfs   = 0xaad7aaea
		vboxsf  = 0x786f4256
		vmhgfs  = 0xbacbacbc
		stornex = 0xbeefdead
	)
	switch magic {
	case unix.NFS_SUPER_MAGIC:
		return "NFS"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "SMB"
	case unix.NCP_SUPER_MAGIC:
		return "NCP"
	case unix.V9FS_MAGIC:
		return "9p"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC:
		return "AFS"
	case unix.CODA_SUPER_MAGIC:
		return "Coda"
	case unix.CEPH_SUPER_MAGIC:
		return "Ceph"
	case unix.OCFS2_SUPER_MAGIC:
		return "OCFS2"
	case beegfs:
		return "BeeGFS"
	case gfs2:
		return "GFS2"
	case gpfs:
		return "GPFS"
	case lustre:
		return "Lustre"
	case panfs:
		return "PanFS"
	case stornex:
		return "StorNext"
	case vboxsf:
		return "VirtualBox shared folder"
	case vmhgfs:
		return "VMware shared folder"
	case unix.FUSE_SUPER_MAGIC:
		return fuse
	}
	return ""
}
