package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/cryptotest"
	"time"
)

var (
	firstSeed = flag.Uint64("seed", 1, "the first seed")
	seeds     = flag.Uint64("seeds", 16, "how many seeds, unless -hours is given")
	hours     = flag.Float64("hours", 0, "simulated hours")
	detect    = flag.Duration("detect", 0, "the detect time; 0: another for each seed")
	rule      = flag.String("rule", "", "the profile that looks for what this rule prevents, instead of everything")
	child     = flag.Uint64("child", 0, "used by the test itself: it is one of so many processes")
)

// report is what a process says of one seed, as a line of JSON.
type report struct {
	Seed   uint64
	Result *Result // nil: it begins
}

// TestSimulate runs seeds, one after another in a process for each core: one bubble
// is quickest on one core, and replays best there.
func TestSimulate(t *testing.T) {
	if *child > 0 {
		runSeeds(t)
		return
	}
	began := time.Now()
	r := reader{T: t, limit: *hours}
	for i := range uint64(runtime.NumCPU()) {
		r.start(i, uint64(runtime.NumCPU()))
	}
	r.running.Wait()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil {
		t.Fatal(err)
	}
	cpu := time.Duration(used.Utime.Nano() + used.Stime.Nano())
	t.Logf("%s; in %s (%s of CPU time: %.0f simulated hours in a minute of it)", r.all, time.Since(began).Round(time.Second), cpu.Round(time.Second),
		r.all.Virtual.Hours()/cpu.Minutes())
	if r.all.Runs == 0 || r.all.Faults == 0 || r.all.Openings == 0 {
		t.Error("nothing has happened")
	}
}

// runSeeds runs every child-th seed from the first on and reports to stdout.
func runSeeds(t *testing.T) {
	debug.SetTraceback("all") // of a panic
	out := json.NewEncoder(os.Stdout)
	for i := uint64(0); *hours > 0 || i < *seeds; i += *child {
		seed := *firstSeed + i
		_ = out.Encode(report{Seed: seed})
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := runSeed(t, seed, profile(seed))
			_ = out.Encode(report{seed, &r})
		})
	}
}

func profile(seed uint64) Profile {
	p, narrow := Narrow[*rule]
	if !narrow {
		p = Everything(seed)
	}
	if *detect != 0 {
		p.Detect = *detect
	}
	return p
}

// standstill is how long, in real time, no seed takes.
const standstill = 5 * time.Minute

// runSeed runs one seed with all sources of random numbers set to it that can be:
// raft takes its from math/rand, members their ids from crypto/rand.
func runSeed(t *testing.T, seed uint64, p Profile) Result {
	still := time.AfterFunc(standstill, func() {
		panic(fmt.Sprintf("seed %d stands still: somebody holds a sync.Mutex while virtual time should pass, see package simulate", seed))
	})
	defer still.Stop()
	setRandom(t, seed)
	return Run(t, seed, p)
}

func setRandom(t *testing.T, seed uint64) {
	t.Setenv("GODEBUG", "randseednop=0")
	rand.Seed(int64(seed)) //nolint:staticcheck // the source that raft uses has no other
	cryptotest.SetGlobalRandom(t, seed)
}

// reader gathers what the processes report.
type reader struct {
	*testing.T
	limit   float64
	running sync.WaitGroup

	mu       sync.Mutex
	all      Totals
	enough   bool
	children []*exec.Cmd
}

func (r *reader) start(i, n uint64) {
	args := []string{
		"-test.run=^TestSimulate$", "-test.timeout=0", fmt.Sprintf("-child=%d", n), fmt.Sprintf("-seed=%d", *firstSeed+i),
		fmt.Sprintf("-seeds=%d", *seeds-min(i, *seeds)), fmt.Sprintf("-hours=%g", *hours), fmt.Sprintf("-detect=%s", *detect), "-rule=" + *rule,
	}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=800") // little is live, much is garbage
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		r.Fatal(err)
	}
	started := make(chan error)
	r.running.Go(func() {
		runtime.LockOSThread() // the signal comes when the thread ends that started the child
		defer runtime.UnlockOSThread()
		started <- cmd.Start()
		last, rest := r.read(bufio.NewScanner(stdout))
		if err := cmd.Wait(); err != nil && !r.done() {
			r.Errorf("seed %d: the process has ended: %v\n%s\n%s", last, err, rest, tail(stderr.Bytes()))
		}
	})
	if err := <-started; err != nil {
		r.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.children = append(r.children, cmd)
}

// read takes the reports of one process. It returns the seed that it began last, and
// what it wrote besides.
func (r *reader) read(lines *bufio.Scanner) (last uint64, rest []byte) {
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var one report
		if json.Unmarshal(lines.Bytes(), &one) != nil {
			rest = append(append(rest, lines.Bytes()...), '\n')
			continue
		}
		if last = one.Seed; one.Result != nil {
			r.take(one)
		}
	}
	return last, tail(rest)
}

func (r *reader) take(one report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.enough {
		return
	}
	r.all.Add(one.Result.Totals)
	if len(one.Result.Broken) > 0 {
		r.Errorf("seed %d: %q\n%s", one.Seed, one.Result.Broken, one.Result.Timeline)
	}
	if r.limit > 0 && r.all.Virtual.Hours() >= r.limit {
		r.enough = true
		for _, c := range r.children {
			_ = c.Process.Kill()
		}
	}
}

func (r *reader) done() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.enough
}

// tail returns the end of a long output, from the panic on if there is one.
func tail(b []byte) []byte {
	if i := bytes.Index(b, []byte("panic:")); i >= 0 {
		b = b[i:]
		return b[:min(len(b), 8<<10)]
	}
	return slices.Clone(b[max(0, len(b)-8<<10):])
}
