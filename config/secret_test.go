package config

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestTheSecretIsReadAnewAtEachUse(t *testing.T) {
	for _, mode := range []string{"600", "400"} {
		dir := playground(t)
		lay(t, dir, "k "+mode+" 0")
		file := filepath.Join(dir, "k")
		fill(t, file, "\n "+secret+"\t\n")
		c := accepted(t, smallest+strings.Replace(expecting, "DIR", dir, 1))
		if err := c.checkHost(vm1()); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{secret, strings.ToUpper(secret)} {
			fill(t, file, want+"\n")
			if got, err := c.Secret(); err != nil || string(got) != want {
				t.Errorf("the secret is %q, %v; want %q", got, err, want)
			}
		}
	}
}

func TestASecretThatIsNoneIsNotRepeated(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k")
	c := &Config{Formation: Formation{SecretFile: file}}
	if _, err := c.Secret(); err == nil || !strings.HasPrefix(err.Error(), "cluster.secret_file: open ") {
		t.Errorf("without a file: %v", err)
	}
	for _, text := range []string{"", secret[1:], strings.Repeat(" ", 40), strings.Repeat(secret, 200)} {
		fill(t, file, text)
		if got, err := c.Secret(); err == nil || strings.Contains(err.Error(), "0123") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}
