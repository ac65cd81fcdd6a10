package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/control"
)

// TestHostsThatNobodyTypesOn are as an image makes them: each has the list of all and the secret.
func TestHostsThatNobodyTypesOn(t *testing.T) {
	s := &session{Lab: newTestLab(t, Config{}), daemons: map[*Host]*Daemon{}}
	s.prober = startProber(t, s.Lab)
	binary, err := BuildVipd(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{2, 0, 1} {
		h := s.Hosts[i]
		s.starts(t, h, func() (*Daemon, error) { return h.StartVipd(s.imaged(t, h, binary)) })
		time.Sleep(300 * time.Millisecond)
	}
	before := allVote(t, s.Lab)

	lost := s.Hosts[0] // it would found the cluster, if there were none
	if err := s.daemons[lost].Stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(lost.Dir, "vipd")); err != nil {
		t.Fatal(err)
	}
	if err := s.daemons[lost].Restart(); err != nil {
		t.Fatal(err)
	}
	after := allVote(t, s.Lab)
	if after.Cluster.ID != before.Cluster.ID {
		t.Errorf("the cluster was %s and is %s", before.Cluster.ID, after.Cluster.ID)
	}
	for _, m := range after.Cluster.Members {
		if m.ID == before.Node.ID {
			t.Errorf("the wiped host is still a member as what it was before, %s", m.ID)
		}
	}
	if overlap := s.prober.Timeline(0).Overlap(); overlap != 0 {
		t.Errorf("two hosts answered for %v", overlap)
	}
}

// imaged is the configuration of a host that has cluster.expect.
func (s *session) imaged(t *testing.T, h *Host, binary string) VipdConfig {
	t.Helper()
	secret, err := h.WriteFile("secret", strings.Repeat("0123456789abcdef", 2)+"\n", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for _, other := range s.Hosts {
		addresses = append(addresses, other.Address.String())
	}
	more := fmt.Sprintf("cluster:\n  expect: [%s]\n  secret_file: %s", strings.Join(addresses, ", "), secret)
	return VipdConfig{Binary: binary, Detect: detect, More: more, RestartDelay: 100 * time.Millisecond}
}

// allVote waits until all hosts are in one cluster and have their votes, and somebody holds. It returns what the first host
// says.
func allVote(t *testing.T, l *Lab) control.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var status control.Status
	for last := ""; ; Pause(ctx, 100*time.Millisecond) {
		if ctx.Err() != nil {
			t.Fatalf("waiting for the hosts to form a cluster: %s", last)
		}
		r, err := l.Hosts[0].Vipd(ctx, "status", "-o", "json")
		if err == nil {
			err = json.Unmarshal([]byte(r.Stdout), &status)
		}
		last = r.Stdout + r.Stderr
		if err == nil && status.Holder != nil && voters(status) == len(l.Hosts) {
			return status
		}
	}
}

func voters(s control.Status) (n int) {
	for _, m := range s.Cluster.Members {
		if m.Voter && m.Healthy {
			n++
		}
	}
	return n
}
