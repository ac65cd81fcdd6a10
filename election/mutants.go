//go:build mutants

package election

// LeaveOut names the rule that this build leaves out, to see that the simulator then
// finds two holders. It is set once, before any member is opened.
var LeaveOut string

func leftOut(r rule) bool { return LeaveOut == string(r) }
