package election

import (
	"io/fs"
	"path/filepath"
	"testing"
)

func TestNothingInTheDataDirectoryIsForOthers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, dir, _ := member(t)
		files := 0
		err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || path == dir {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			if info.Mode().IsRegular() {
				files++
			}
			return nil
		})
		if err != nil || files < 3 {
			t.Errorf("%d files found: %v", files, err)
		}
	})
}
