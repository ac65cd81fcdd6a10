package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/vipd/vipd/trust"
)

// maxSecret bounds the file with the secret, in bytes.
const maxSecret = 4 << 10

// Secret reads cluster.secret_file anew, since it may be replaced while vipd runs, and
// returns what is in it without white space at its ends: at least [trust.MinSecret]
// bytes, in a file of at most 4096. It blocks as long as the disk does. The error does
// not repeat what was read.
func (c *Config) Secret() ([]byte, error) {
	secret, err := readSecret(c.Formation.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("cluster.secret_file: %w", err)
	}
	return secret, nil
}

func readSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return nil, err
	}
	secret := bytes.TrimSpace(text)
	switch {
	case len(text) > maxSecret:
		return nil, fmt.Errorf("%s holds more than %d bytes", quote(path), maxSecret)
	case len(secret) < trust.MinSecret:
		return nil, fmt.Errorf("%s holds %d bytes, and a secret that nobody guesses has at least %d", quote(path), len(secret), trust.MinSecret)
	}
	return secret, nil
}

// checkSecret refuses a file in which there is no secret, or that is not for vipd's user
// alone.
func (c custody) checkSecret(v value, path string) {
	how := "openssl rand -hex 32 >" + path + " && chmod 600 " + path + "; the same file on all hosts"
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.refuse(v, how, "%s does not exist", quote(path))
		return
	case err != nil:
		c.refuse(v, "every folder on the path must be readable", "%s cannot be looked at: %v", quote(path), errors.Unwrap(err))
		return
	case !info.Mode().IsRegular():
		c.refuse(v, how, "%s is not a file", quote(path))
		return
	}
	c.checkConfidant(v, path, info.Sys().(*syscall.Stat_t))
	c.file(v, path)
	if _, err := readSecret(path); err != nil && !errors.Is(err, fs.ErrPermission) { // that was said
		c.refuse(v, how, "%v", err)
	}
}

// checkConfidant refuses a secret that others may read, and one that vipd may not.
func (c custody) checkConfidant(v value, path string, stat *syscall.Stat_t) {
	const owners = 0o600
	switch {
	case stat.Mode&0o7777&^owners != 0:
		c.told[path] = true // that others may write it too needs no word of its own
		c.refuse(v, "chmod 600 "+path+"; if others may have read it, make a new one", "%s has mode %04o, and what is in it is for vipd alone", quote(path), stat.Mode&0o7777)
	case stat.Uid == 0 && c.uid != 0:
		c.refuse(v, "chown "+userName(c.uid)+" "+path, "%s belongs to root, and vipd runs as %s", quote(path), userName(c.uid))
	}
}
