package cli

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"dueto/config"
	"dueto/models"
	"dueto/services"
)

const adviseFolder = "Make the folder, owned by the user that serves, or name another one."

// private looks for a file that others than its owner can use.
func (f *findings) private(id, file string, info fs.FileInfo) {
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		f.add(config.Error, id, "Run: chmod 600 "+file, "Others than its owner can use %s (mode %04o).", file, mode)
	}
}

// secret looks at the secret file; that there is none yet is as it should be.
func (f *findings) secret(c *config.Config) {
	derived := *c
	derived.Derive()
	file := derived.SecretFile
	info, err := os.Stat(file)
	if isAbsent(err) {
		folder := filepath.Dir(file)
		if fault := folderFault(folder); fault != "" && folder != filepath.Dir(c.DatabaseFile()) { // said of the database already
			f.add(config.Error, "secret.folder", adviseFolder, "The secret cannot be made: the folder %s %s.", folder, fault)
		}
		return
	}
	if err == nil {
		f.private("secret.readable", file, info)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		f.add(config.Error, "secret.unreadable", "Name a file with secret-file that the user that serves can read.", "The secret cannot be read: %s.", err)
		return
	}
	if err := config.CheckSecrets(raw); err != nil {
		f.add(config.Error, "secret.weak", "Take the file away, so that the server makes a good one, which ends all sessions.",
			"The secret in %s will not do: %s.", file, err)
	}
}

// keys looks at the files of the keys that access tokens are signed with.
func (f *findings) keys(c *config.Config) {
	before := len(*f)
	signing, verifying := c.KeyFiles()
	const advice = "Name a file that the user that serves can read; dueto keys generate makes one."
	if signing != "" {
		if info, err := os.Stat(signing); err != nil {
			f.add(config.Error, "jwt-signing-key.missing", advice, "The signing key cannot be found: %s.", err)
		} else {
			f.private("jwt-signing-key.readable", signing, info)
		}
	}
	for _, file := range verifying {
		if _, err := os.Stat(file); err != nil {
			f.add(config.Error, "jwt-verifying-keys.missing", advice, "A verifying key cannot be found: %s.", err)
		}
	}
	if len(*f) > before {
		return
	}
	if err := c.CheckSigningKeys(); err != nil {
		problem := strings.ReplaceAll(err.Error(), "\n", "; ")
		f.add(config.Error, "jwt-signing-key.unusable", "Name keys of the algorithm in jwt-algorithm; dueto keys generate makes one.", "The keys cannot be used: %s.", problem)
	}
}

// isAbsent reports whether there is nothing at a path, and maybe no folder.
func isAbsent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNotDirectory)
}

// folderFault says why files cannot be made in a folder, if they cannot.
func folderFault(folder string) string {
	info, err := os.Stat(folder)
	var failed *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "is not there"
	case errors.As(err, &failed):
		return "cannot be looked at (" + failed.Err.Error() + ")"
	case !info.IsDir():
		return "is no folder"
	case !writable(folder):
		return "cannot be written to by this user"
	}
	return ""
}

// database looks at the folder, the disk, the file and what is in it.
func (f *findings) database(ctx context.Context, c *config.Config, now time.Time) {
	file := c.DatabaseFile()
	if file == "" {
		f.content(ctx, c, now)
		return
	}
	folder := filepath.Dir(file)
	if fault := folderFault(folder); fault != "" {
		f.add(config.Error, "database.folder", adviseFolder, "The folder of the database, %s, %s.", folder, fault)
	}
	if _, err := os.Stat(folder); err == nil {
		f.disk(folder)
	}
	info, err := os.Stat(file)
	switch {
	case isAbsent(err): // it will be made, or the folder is at fault
		return
	case err != nil:
		f.add(config.Error, "database.unreadable", "Run this as the user that serves, and let that one read the file.", "The database cannot be looked at: %s.", err)
		return
	case info.IsDir():
		f.add(config.Error, "database.unreadable", "Name a file in it.", "The database %s is a folder.", file)
		return
	}
	f.private("database.readable", file, info)
	if !writable(file) {
		f.add(config.Error, foundReadOnly, "Run this as the user that serves, and let that one write the file.", "The database %s cannot be written to by this user.", file)
	}
	if info.Size() > 0 {
		f.content(ctx, c, now)
	}
}

const minFree = 100 << 20

// disk looks at where the database's folder is.
func (f *findings) disk(folder string) {
	d, known := diskOf(folder)
	f.judge(folder, d, known)
}

// judge says what is wrong with the disk of a folder.
func (f *findings) judge(folder string, d disk, known bool) {
	switch {
	case !known:
		f.add(config.Info, "database.disk", "", "Whether %s is on a network file system, and what room there is, cannot be told here.", folder)
		return
	case d.kind == fuse:
		f.add(config.Warning, "database.fuse", "Use a disk of this machine, unless you know that the file system is local.",
			"The folder %s is on a FUSE file system, as GlusterFS and sshfs are, where locks may not hold.", folder)
	case d.kind != "":
		f.add(config.Error, "database.network", "Use a disk of this machine.",
			"The folder %s is on a network file system (%s), where SQLite's log does not work and the database gets damaged.", folder, d.kind)
	}
	if d.free < minFree {
		f.add(config.Warning, "database.space", "Make room, or use another disk.", "There are %d MiB left on the disk of %s.", d.free>>20, folder)
	}
}

// fuse is the kind of disk that a program serves; what is behind it is not told.
const fuse = "FUSE"

// disk is what is known of where a folder is.
type disk struct {
	// kind names a file system that is not, or may not be, this machine's own.
	kind string
	free uint64
}

// oneLine gives what went wrong with a server: it may be said of each of its
// addresses in a line of its own.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// content looks into the database.
func (f *findings) content(ctx context.Context, c *config.Config, now time.Time) {
	found, err := models.Inspect(ctx, c.Database)
	name := cmp.Or(c.DatabaseFile(), models.Redacted(c.Database))
	switch {
	case errors.Is(err, models.ErrCorrupt):
		f.add(config.Error, "database.corrupt", "Restore a backup, or name another one with database.", "The database %s is refused: %s.", name, err)
	case errors.Is(err, models.ErrSchemaNewer):
		f.add(config.Error, "database.newer", "Run the newer version, or restore a backup from before it.", "The database %s is refused: %s.", name, err)
	case errors.Is(err, models.ErrUnfinishedMove):
		f.add(config.Error, "database.unmoved", "Run the same dueto move again, or empty the database.", "The database %s is refused: %s.", name, err)
	case errors.Is(err, models.ErrUnfinished):
		f.add(config.Warning, "database.unfinished", "Start the server once and stop it, then check again.", "The database was not looked into: %s.", err)
	case err != nil && c.DatabaseFile() == "":
		f.add(config.Error, "database.unreachable", "Start the server, or mend the URL in database.", "The database %s cannot be looked into: %s.", name, oneLine(err))
	case err != nil:
		f.add(config.Error, "database.unreadable", "Run this as the user that serves, and let that one read the file.", "The database cannot be looked into: %s.", err)
	default:
		if len(found.Pending) > 0 {
			advice := ""
			if c.DatabaseFile() == "" && !found.New {
				advice = "Dueto makes no backup of PostgreSQL's before. " + adviseDump(c)
			}
			f.add(config.Info, "database.migrations", advice, "The next start applies: %s.", strings.Join(found.Pending, ", "))
		}
		f.rows(now, found.Newest)
		if c.DatabaseFile() == "" {
			f.rights(name, found.Rights)
			f.foreign(c, found)
		}
	}
}

// The findings that the doctor has lines of its own for: it may well examine
// what no server could be run on.
const (
	foundReadOnly = "database.read-only"
	foundRights   = "database.rights"
)

// rights looks whether a server could write to a PostgreSQL database.
func (f *findings) rights(name string, r models.Rights) {
	if r.ReadOnly != "" {
		advice := "Set it to off, or name another role in database."
		if r.Replica {
			advice = "Name the primary in database."
		}
		f.add(config.Error, foundReadOnly, advice, "The database %s takes no writes: %s.", name, r.ReadOnly)
	}
	for _, lacking := range r.Lacking {
		f.add(config.Error, foundRights, lacking.Advice, "The role %s may not do what a server does: it lacks %s.", r.Role, lacking.What)
	}
}

// foreign looks whether the servers of the database have another secret. One
// that cannot be read is said of it already.
func (f *findings) foreign(c *config.Config, found models.Inspection) {
	var keys config.Keys
	if !c.SecretMissing() {
		if keys, _ = c.LoadKeys(); len(keys.Secrets) == 0 {
			return
		}
	}
	if err := services.CheckSecrets(found, keys.Secrets); err != nil {
		f.add(config.Error, "secret.foreign", "Copy their secret file here, or name it with secret-file.", "The server would not start: %s.", err)
	}
}

// backups looks at where the server is to make them: the folder, or what it is
// to be made in.
func (f *findings) backups(c *config.Config) {
	derived := *c
	derived.Derive()
	if c.BackupEvery == 0 || derived.BackupDir == "" || c.DatabaseFile() == "" {
		return
	}
	folder := derived.BackupDir
	for {
		_, err := os.Stat(folder)
		if parent := filepath.Dir(folder); errors.Is(err, fs.ErrNotExist) && parent != folder {
			folder = parent
			continue
		}
		break
	}
	if fault := folderFault(folder); fault != "" && (folder == derived.BackupDir || folder != filepath.Dir(c.DatabaseFile())) { // said of the database already
		f.add(config.Error, "backup-dir.folder", adviseFolder, "Backups cannot be made in %s: %s %s.", derived.BackupDir, folder, fault)
	}
}
