package hooks

import (
	"fmt"
	"syscall"
)

// User is an account of this host. The zero value is whom this process runs as.
type User struct {
	// Name is what the account is called.
	Name string
	// Credential is what the name stands for, with all groups of the account. Nothing is started for a Name without it.
	Credential *syscall.Credential
	// Home is the HOME of what is started; empty means /root.
	Home string
}

// usable refuses a name that nobody has looked up: the script would run as root.
func (u User) usable() error {
	if u.Name != "" && u.Credential == nil {
		return fmt.Errorf("it is not known who the user %s is", u.Name)
	}
	return nil
}

func (u User) home() string {
	if u.Home == "" {
		return "/root"
	}
	return u.Home
}
