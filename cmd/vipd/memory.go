package main

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// closeMemory keeps what this process has in memory, the keys of the cluster among it,
// out of core dumps and from other processes of the same user, such as its scripts
// (prctl(2), PR_SET_DUMPABLE). Programs that it starts are not concerned.
func closeMemory() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep the memory of vipd out of core dumps: %w", err)
	}
	return nil
}
