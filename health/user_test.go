package health

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestAScriptRunsAsItsUser(t *testing.T) {
	httpd := User{Name: "httpd", Credential: &syscall.Credential{Uid: 4711, Gid: 4712, Groups: []uint32{4712, 4713}}, Home: "/srv/httpd"}
	tests := map[string]struct {
		user         User
		output, want string
	}{
		"of another user":       {httpd, "4711 4712 4712 4713 /srv/httpd", ""},
		"of vipd's":             {User{}, "0 0 HOME=/root", ""},
		"that nobody looked up": {User{Name: "httpd"}, "", ": it is not known who the user httpd is"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			file := script(t, "#!/bin/sh\necho $(id -u) $(id -g) $(id -G) $HOME\n")
			if test.user == (User{}) {
				file = script(t, "#!/bin/sh\necho $(id -u) $(id -g) HOME=$HOME\n") // what groups root has, depends
			}
			for path, up := file, 0; up < 3; path, up = filepath.Dir(path), up+1 {
				if err := os.Chmod(path, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			r := runner{check: Check{Probe: Script{Command: []string{file}, User: test.user}, Timeout: time.Minute}, start: start}
			output, err := r.run(t.Context())
			if output != test.output {
				t.Errorf("output %q, want %q", output, test.output)
			}
			if (err == nil) != (test.want == "") || err != nil && !strings.HasSuffix(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
