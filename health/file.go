package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// File is a file, or anything else under that path, that is there. A symbolic link is there if what it points to is.
type File struct {
	Path string
	// Absent says that the file must not be there.
	Absent bool
}

func (f File) try(context.Context) error {
	_, err := os.Stat(f.Path)
	missing := errors.Is(err, fs.ErrNotExist)
	switch {
	case err != nil && !missing:
		return err // healthy or not, it can't be known
	case missing && !f.Absent:
		return fmt.Errorf("%s does not exist", f.Path)
	case !missing && f.Absent:
		return fmt.Errorf("%s exists", f.Path)
	}
	return nil
}
