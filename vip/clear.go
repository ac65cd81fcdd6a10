package vip

import "fmt"

// Clear removes what a crashed run of the same cfg.Instance left, without a daemon: first the addresses, from whatever link
// they are on, and only when these have gone, the filters. If an address can't be removed, the filters stay.
// It is idempotent. Filters of other instances and other programs are left alone, and so are clsact queueing disciplines.
func Clear(cfg Config) error {
	if err := NewBinder(cfg).Release(); err != nil {
		return fmt.Errorf("clear: %w", err)
	}
	if err := removeUnlessBound(cfg); err != nil {
		return fmt.Errorf("clear: %w", err)
	}
	return nil
}

// removeUnlessBound removes the filters of cfg.Instance if none of the addresses is on a link.
func removeUnlessBound(cfg Config) error {
	bound, err := NewBinder(cfg).present()
	if err != nil {
		return err
	}
	if len(bound) > 0 {
		return fmt.Errorf("%s is still there, so the fence stays", describe(bound[0]))
	}
	return removeFilters(cfg.Instance)
}
