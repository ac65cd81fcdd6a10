package model

import (
	"os/exec"
	"testing"
)

// The quick variant searches smaller bounds, but every rule is taken out once. The
// other one is `make model`.
func TestTheModelHoldsAndFailsWithoutAnyRule(t *testing.T) {
	for _, program := range []string{"spin", "gcc"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v; hint: sudo make deps", err)
		}
	}
	out, err := exec.CommandContext(t.Context(), "../../model/run", "quick").CombinedOutput()
	t.Logf("model/run quick:\n%s", out)
	if err != nil {
		t.Errorf("the model does not show what docs/proof.md says: %v", err)
	}
}
