package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/internal/lab"
)

// figure is a line of the summary.
type figure struct {
	Name, Value string
	Bad         bool
}

// figures sums the run up.
func (r record) figures() []figure {
	all := r.everything().Length()
	silent, _ := r.silence(r.everything())
	_, quietLongest := r.silence(r.quiet()...)
	_, calmLongest := r.silence(r.calm()...)
	list := []figure{
		{Name: "two holders", Value: ms(r.overlap()), Bad: r.overlap() > 0},
		{Name: "faults", Value: fmt.Sprintf("%d in %d rounds", len(r.Faults), len(r.Rounds))},
		{Name: "available", Value: fmt.Sprintf("%.2f %% of %v", 100*(1-float64(silent)/float64(max(all, 1))), all.Round(time.Second))},
		{
			Name: "longest without an answer while no fault was active", Value: ms(quietLongest) + "; once one holder was back: " + ms(calmLongest),
		},
		{Name: "back to one holder after the last mending", Value: r.backs(), Bad: len(r.failures()) > 0},
		{Name: "later than 3 × detect", Value: fmt.Sprintf("%d of %d rounds", r.late(), len(r.Rounds)), Bad: r.late() > 0},
		{Name: "hooks out of order", Value: fmt.Sprint(len(r.Hooks)), Bad: len(r.Hooks) > 0},
		{Name: "daemons that ended unasked", Value: fmt.Sprint(len(r.unasked()))},
		{Name: "probes", Value: fmt.Sprintf("%d rounds of one a millisecond, %d missed, %d unclear", int(all/time.Millisecond), r.Missed, r.Unclear)},
	}
	return list
}

// backs says how long it took until one holder was back.
func (r record) backs() string {
	var backs []time.Duration
	for _, round := range r.Rounds {
		if round.Back >= 0 {
			backs = append(backs, round.Back)
		}
	}
	if len(backs) == 0 {
		return "never"
	}
	slices.Sort(backs)
	quantile := func(share float64) string { return ms(lab.Quantile(backs, share)) }
	return fmt.Sprintf("median %s, p95 %s, longest %s", quantile(0.5), quantile(0.95), quantile(1))
}

// unasked lists the starts of daemons that nobody had killed or rebooted.
func (r record) unasked() []event {
	return slices.DeleteFunc(slices.Clone(r.Events), func(e event) bool {
		return e.Kind != "start" || slices.ContainsFunc(r.active(e.At-r.Restart, e.At+time.Millisecond), func(f fault) bool {
			return (f.Kind == "kill" || f.Kind == "reboot") && slices.Contains(f.Hosts, e.Host)
		})
	})
}

func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// write prints the summary, and what was not as it must be.
func (r record) write(w io.Writer) {
	fmt.Fprintf(w, "\nseed %d, %d hosts, detect %v, %s\n\n", r.Seed, len(r.Hosts), r.Detect, r.Version)
	for _, c := range r.counts() {
		fmt.Fprintf(w, "  %5d  %s\n", c.Times, c.Kind)
	}
	fmt.Fprintln(w)
	for _, f := range r.figures() {
		fmt.Fprintf(w, "%-52s  %s\n", f.Name, f.Value)
	}
	for _, e := range r.unasked() {
		fmt.Fprintf(w, "unasked: vipd on %s was started again at %s; active before: %s\n", e.Host, at(e.At), labels(r.active(e.At-2*time.Second, e.At)))
	}
	for _, text := range r.Hooks {
		fmt.Fprintln(w, "hooks:", text)
	}
	for _, round := range r.Rounds {
		if round.Failure != "" {
			fmt.Fprintf(w, "NOT BACK: round %d, %s: %s\n", round.Number, at(round.From), round.Failure)
		}
	}
	for _, s := range r.Overlap {
		fmt.Fprintf(w, "TWO HOLDERS: %s answered at %s for %s; seed %d; active: %s\n",
			strings.Join(r.names(s.Answered), " and "), at(s.From), ms(s.Length()), r.Seed, labels(r.active(s.From-r.Detect, s.To)))
	}
}

func labels(faults []fault) string {
	var texts []string
	for _, f := range faults {
		texts = append(texts, f.label())
	}
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, " · ")
}

// at writes an instant of the run.
func at(d time.Duration) string { return fmt.Sprintf("%.3f s", d.Seconds()) }
