package health

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Link is a network link that has a carrier.
type Link struct {
	Name string
}

func (l Link) try(context.Context) error { return l.carrier("/sys/class/net") }

// carrier reads what the kernel says of the link (Documentation/ABI/testing/sysfs-class-net). A driver that does not tell its
// operational state leaves it "unknown", but has a carrier.
func (l Link) carrier(links string) error {
	folder := filepath.Join(links, l.Name)
	state, err := os.ReadFile(filepath.Join(folder, "operstate"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s does not exist", l)
	}
	if err != nil {
		return err
	}
	operational := strings.TrimSpace(string(state))
	carrier, err := os.ReadFile(filepath.Join(folder, "carrier"))
	switch {
	case operational == "up", err == nil && strings.TrimSpace(string(carrier)) == "1":
		return nil
	default: // carrier can't be read while the link is set down (EINVAL)
		return fmt.Errorf("%s has no carrier, its state is %s", l, operational)
	}
}
