package trust_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/vipd/vipd/trust"
)

func TestSecretMakesTheSameRootEverywhere(t *testing.T) {
	one, other := strings.Repeat("s", trust.MinSecret), strings.Repeat("s", trust.MinSecret)+"\n"
	a, b, c := secret(t, one, "a").Secret, secret(t, one, "b").Secret, secret(t, other, "c").Secret
	if !slices.Equal(a.Roots(), b.Roots()) || slices.Equal(a.Roots(), c.Roots()) {
		t.Errorf("roots: %v, %v, and of another secret %v", a.Roots(), b.Roots(), c.Roots())
	}
}

func TestSecretThatIsTooShortIsRefused(t *testing.T) {
	_, err := trust.FromSecret([]byte(strings.Repeat("s", trust.MinSecret-1)), "a")
	e, ok := errors.AsType[*trust.Error](err)
	if !ok || e.Error() != "the secret has 31 bytes, and needs 32" || e.Hint() == "" {
		t.Errorf("got %v", err)
	}
}
