package main

import (
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hangingDaemon listens on a socket and never answers. It hands out what it is asked.
func hangingDaemon(t *testing.T) (socket string, asked <-chan map[string]string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "vipd.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	questions := make(chan map[string]string)
	hang := make(chan struct{})
	server := http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var body map[string]string
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Errorf("read the request: %v", err)
		}
		questions <- body
		<-hang
	})}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(l)
	}()
	t.Cleanup(func() {
		close(hang)
		_ = server.Close()
		<-ended
	})
	return socket, questions
}

func TestATokenIsTakenFromWhereItStandsAndIsNotInTheProcessList(t *testing.T) {
	tests := map[string]struct {
		args, environ []string
		stdin         string
		want          string // the token that the daemon is given
	}{
		"in the flag":               {[]string{"--token", "vipd1.secret"}, nil, "", "vipd1.secret"},
		"joined with the flag":      {[]string{"--token=vipd1.secret"}, nil, "", "vipd1.secret"},
		"in flag and environment":   {[]string{"--token=vipd1.secret"}, []string{"VIPD_TOKEN=vipd1.other"}, "", "vipd1.secret"},
		"in the environment":        {nil, []string{"VIPD_TOKEN=vipd1.secret"}, "", "vipd1.secret"},
		"on standard input":         {[]string{"--token", "-"}, []string{"VIPD_TOKEN=vipd1.other"}, "vipd1.secret\nmore", "vipd1.secret"},
		"on standard input, joined": {[]string{"--token=-"}, nil, "vipd1.secret", "vipd1.secret"},
		"nowhere":                   {nil, nil, "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			socket, asked := hangingDaemon(t)
			join := exec.Command(os.Args[0], append([]string{"join", "10.11.12.4", "--socket", socket}, test.args...)...)
			join.Env = append(os.Environ(), append(test.environ, asVipd+"=1")...)
			join.Stdin = strings.NewReader(test.stdin)
			var output strings.Builder
			join.Stdout, join.Stderr = &output, &output
			if err := join.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = join.Wait() }()
			defer func() { _ = join.Process.Kill() }()

			want := map[string]string{"peer": "10.11.12.4", "token": test.want}
			if d := cmp.Diff(want, <-asked); d != "" {
				t.Errorf("the daemon is asked (-want +got):\n%s", d)
			}
			line, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(join.Process.Pid), "cmdline"))
			if err != nil {
				t.Fatal(err)
			}
			if text := string(line); !strings.Contains(text, "join\x0010.11.12.4\x00--socket\x00"+socket) || strings.Contains(text, "vipd1.") {
				t.Errorf("all users see %q", text)
			}
		})
	}
}

func TestNoTokenOnStandardInputIsSaid(t *testing.T) {
	w := newWorld(t)
	stdin, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	root := newRoot()
	root.SetIn(stdin)
	root.SetArgs([]string{"join", "10.11.12.4", "--token", "-", "--config", w.config("vm2")})
	want := "vipd: there is no token on standard input\nhint: vipd token create, on a member, prints one\n"
	if got, code := errorText(root.ExecuteContext(t.Context())); got != want || code != 2 {
		t.Errorf("got %q, exit %d, want %q, exit 2", got, code, want)
	}
}
