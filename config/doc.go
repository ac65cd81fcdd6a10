// Package config turns one YAML file into checked values. [Load] promises that
// every value of the [Config] it returns is usable as it stands: in range, of the
// right sort, and not at odds with another one. If anything is not, it returns all
// problems of the file at once, each with its place and with what to write
// instead. What only the running system can tell (does this link exist, can that
// script be started, who may change it) is left to [Config.CheckHost]. The package neither knows what
// becomes of the values nor changes anything on the host; its functions may be
// called from any goroutine.
package config
