package controltest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/vipd/vipd/control"
)

// Simulate implements control.Daemon.
func (h *Host) Simulate(ctx context.Context, s control.Suppose) (control.Forecast, error) {
	unlock, err := h.lock(ctx)
	if err != nil {
		return control.Forecast{}, err
	}
	defer unlock()
	c := h.cluster
	if c.holder == "" || !c.has(h.name) {
		return control.Forecast{}, noLeader()
	}
	ill, err := c.suppose(s)
	if err != nil {
		return control.Forecast{}, err
	}
	f := control.Forecast{Before: c.holder}
	for _, name := range c.members {
		why := cmp.Or(ill[name], fmt.Sprintf("well, priority %d", priority))
		f.Members = append(f.Members, control.ForecastMember{Name: name, Priority: priority, Fit: ill[name] == "", Why: why})
	}
	lost := func(name string) bool { return slices.Contains(s.Lose, name) }
	left := slices.DeleteFunc(slices.Clone(c.voters), lost)
	next := slices.IndexFunc(left, func(name string) bool { return ill[name] == "" })
	switch needed := len(c.voters)/2 + 1; {
	case len(left) < needed:
		f.Why = fmt.Sprintf("%d of %d voters would be left, and %d are needed", len(left), len(c.voters), needed)
	case ill[c.holder] == "":
		f.After, f.Why = c.holder, "it is well, and stays"
	case next < 0 && lost(c.holder):
		f.Why = "none of those that are left can hold"
	case next < 0:
		f.After, f.Why = c.holder, fmt.Sprintf("it is %s, but no other host is well", ill[c.holder])
	case lost(c.holder):
		f.After, f.Why = left[next], fmt.Sprintf("it is the best of those that are left (priority %d)", priority)
	default:
		f.After, f.Planned = left[next], true
		f.Why = fmt.Sprintf("%s is %s; it is the best of the others (priority %d)", c.holder, ill[c.holder], priority)
	}
	return f, nil
}

// suppose says of each member what would keep it from holding well.
func (c *Cluster) suppose(s control.Suppose) (map[string]string, error) {
	ill := map[string]string{}
	for _, name := range c.paused {
		ill[name] = isPaused
	}
	for _, at := range s.Fail {
		check, name, _ := strings.Cut(at, "@")
		if err := c.needMember(name); err != nil {
			return nil, err
		}
		switch check {
		case "appsvc":
			ill[name] = "unwell: appsvc fails"
		case "disk": // changes the priority, which decides nothing in the model
		default:
			return nil, &control.Error{Message: fmt.Sprintf("%s has no check %q", name, check), Advice: "it has appsvc, disk", Code: control.CodeUsage}
		}
	}
	for i, name := range slices.Concat(s.Pause, s.Lose) {
		if err := c.needMember(name); err != nil {
			return nil, err
		}
		if ill[name] = isPaused; i >= len(s.Pause) {
			ill[name] = "silent for longer than 500ms"
		}
	}
	return ill, nil
}
