package config

import (
	"errors"
	"fmt"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"unicode"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/hooks"
)

// user reads the name of a user of this host; empty if there is none. Who that is, CheckHost looks up.
func (r *reader) user(v value) string {
	text, ok := r.text(v)
	strange := func(c rune) bool { return c == ':' || c == '/' || unicode.IsSpace(c) || !unicode.IsPrint(c) } // passwd(5)
	switch {
	case !ok:
		return ""
	case text == "", text[0] == '-', strings.ContainsFunc(text, strange):
		r.refuse(v, "write a name as getent passwd shows it, for example "+keyAt(v.path).assignment(), "%s is not the name of a user", quote(text))
		return ""
	}
	return text
}

// mayNotSetIDs reports whether this process lacks what setuid(2) and setgid(2) need
// (capabilities(7)), as in the unit that is shipped.
func mayNotSetIDs() (bool, error) {
	var data [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &data[0]); err != nil {
		return false, fmt.Errorf("read the capabilities of vipd: %w", err)
	}
	const wanted = 1<<unix.CAP_SETUID | 1<<unix.CAP_SETGID
	return data[0].Effective&wanted != wanted, nil
}

// account looks a user up for a vipd that runs on h. Without a name it is vipd's own.
func (r *reader) account(v value, name string, h host) hooks.User {
	if name == "" {
		return hooks.User{}
	}
	unusable := hooks.User{Name: name}
	u, err := user.Lookup(name)
	switch _, unknown := errors.AsType[user.UnknownUserError](err); {
	case unknown:
		r.refuse(v, "write one of those in /etc/passwd, or make it: useradd --system "+name, "this host has no user %s", quote(name))
		return unusable
	case h.uid != 0:
		r.refuse(v, "run vipd as root, or leave user out", "only root can run a script as another user, and vipd runs as %s", userName(h.uid))
		return unusable
	case h.bound:
		r.refuse(v, "systemctl edit vipd, and under [Service]: CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_KILL",
			"vipd lacks the capabilities to run a script as another user")
		return unusable
	}
	var credential *syscall.Credential
	if err == nil {
		credential, err = credentialOf(u)
	}
	if err != nil {
		r.refuse(v, "/etc/passwd and /etc/group must be readable", "the user %s cannot be looked up: %v", quote(name), err)
		return unusable
	}
	return hooks.User{Name: name, Credential: credential, Home: u.HomeDir}
}

// credentialOf returns what the processes of a user have.
func credentialOf(u *user.User) (*syscall.Credential, error) {
	groups, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	ids := make([]uint32, 0, 2+len(groups))
	for _, text := range append([]string{u.Uid, u.Gid}, groups...) {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("%q is not an id", text)
		}
		ids = append(ids, uint32(id))
	}
	return &syscall.Credential{Uid: ids[0], Gid: ids[1], Groups: ids[2:]}, nil
}
