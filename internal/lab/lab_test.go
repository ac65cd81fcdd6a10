package lab

import (
	"testing"
)

// newTestLab makes a lab that ends with the test.
func newTestLab(t *testing.T, cfg Config) *Lab {
	t.Helper()
	l, err := New(cfg)
	if err != nil {
		t.Fatalf("make a lab: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close the lab: %v", err)
		}
	})
	return l
}

func TestHostsReachOneAnother(t *testing.T) {
	l := newTestLab(t, Config{})
	for _, h := range l.Hosts {
		for _, to := range []string{"10.11.12.4", "10.11.12.5", "10.11.12.6", "10.11.12.100", "168.63.129.16"} {
			if _, err := h.Run(t.Context(), "ping", "-c1", "-W1", to); err != nil {
				t.Error(err)
			}
		}
	}
}
