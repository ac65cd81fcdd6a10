package health

import (
	"context"
	"fmt"

	"github.com/coreos/go-systemd/v22/dbus"
)

// Unit is a unit of systemd that is active, as systemctl is-active says it: one that is being reloaded is.
type Unit struct {
	// Name is the whole name, "apache2.service".
	Name string
}

// try asks over a connection of its own, to the system bus or, for root if there is no bus, to systemd itself. Both end with
// ctx.
func (u Unit) try(ctx context.Context) error {
	systemd, err := dbus.NewWithContext(ctx)
	if err != nil {
		return fmt.Errorf("connect to systemd: %w", err)
	}
	defer systemd.Close()
	state, err := u.ask(ctx, systemd, "ActiveState")
	if err != nil {
		return err
	}
	switch state {
	case "active", "reloading", "refreshing":
		return nil
	}
	// A unit without a file is inactive as well.
	if loaded, err := u.ask(ctx, systemd, "LoadState"); err == nil && loaded == "not-found" {
		return fmt.Errorf("%s does not exist", u)
	}
	return fmt.Errorf("%s is %s", u, state)
}

// ask returns a property of the unit (org.freedesktop.systemd1(5)).
func (u Unit) ask(ctx context.Context, systemd *dbus.Conn, property string) (string, error) {
	answer, err := systemd.GetUnitPropertyContext(ctx, u.Name, property)
	if err != nil {
		return "", fmt.Errorf("ask systemd about %s: %w", u, err)
	}
	text, ok := answer.Value.Value().(string)
	if !ok {
		return "", fmt.Errorf("ask systemd about %s: %s is %v, not a text", u, property, answer.Value)
	}
	return text, nil
}
