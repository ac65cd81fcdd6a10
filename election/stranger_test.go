package election

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestAStrangerHasLittleTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		s := newStranger(ours)
		began := time.Now()
		_ = s.SetDeadline(time.Time{}) // as whoever serves it might
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(began); took != strangerTimeout {
			t.Errorf("closed after %v, want %v", took, strangerTimeout)
		}
		_, _ = s.Close(), theirs.Close()
	})
}

func TestAStrangerHasFewWords(t *testing.T) {
	tests := map[string]struct {
		known bool
		want  error
	}{
		"a stranger": {false, errTooMuch},
		"a member":   {true, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				s := newStranger(ours)
				defer s.Close()
				if test.known {
					s.recognise()
				}
				go func() {
					_, _ = theirs.Write(make([]byte, 2*maxStranger))
					_ = theirs.Close()
				}()
				heard, err := io.Copy(io.Discard, s)
				if !errors.Is(err, test.want) {
					t.Errorf("after %d bytes: %v, want %v", heard, err, test.want)
				}
				if !test.known && heard > maxStranger {
					t.Errorf("%d bytes were heard", heard)
				}
				_, _ = s.Close(), theirs.Close()
			})
		})
	}
}
