package health

import "strings"

// Probe is what a check tries: a Script, HTTP, TCP, Unit, Program, PIDFile, Link or File.
type Probe interface {
	// String says what is tried, in a few words.
	String() string
	// start begins one run. It waits for nothing but the start of a program.
	start() (*process, error)
}

func start(c Check) (*process, error) { return c.Probe.start() }

func (h HTTP) start() (*process, error)    { return call(h.String(), h.try), nil }
func (t TCP) start() (*process, error)     { return call(t.String(), t.try), nil }
func (u Unit) start() (*process, error)    { return call(u.String(), u.try), nil }
func (p Program) start() (*process, error) { return call(p.String(), p.try), nil }
func (p PIDFile) start() (*process, error) { return call(p.String(), p.try), nil }
func (l Link) start() (*process, error)    { return call(l.String(), l.try), nil }
func (f File) start() (*process, error)    { return call(f.String(), f.try), nil }

func (s Script) String() string  { return strings.Join(s.Command, " ") }
func (h HTTP) String() string    { return "GET " + h.URL }
func (t TCP) String() string     { return "connect to " + t.Address.String() }
func (u Unit) String() string    { return "unit " + u.Name }
func (p Program) String() string { return "process " + p.Name }
func (p PIDFile) String() string { return "pid file " + p.Path }
func (l Link) String() string    { return "link " + l.Name }

func (f File) String() string {
	if f.Absent {
		return "no file " + f.Path
	}
	return "file " + f.Path
}
