//go:build mutants

package election

// LeaveOut names the rule that this build leaves out, to see that the simulator then
// finds two holders. It is set once, before any member is opened.
var LeaveOut string

func leftOut(r rule) bool { return LeaveOut == string(r) }

// Hesitate is called where a goroutine may be held up between a judgement and what
// follows from it. It is set once, before any member is opened.
var Hesitate = func() {}

func hesitate() { Hesitate() }
