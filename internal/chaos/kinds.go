package main

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/internal/lab"
	"golang.org/x/sys/unix"
)

// group says what a fault is about, which decides what it can be combined with.
type group int

const (
	network  group = iota // the way between hosts
	link                  // a host's own link
	process               // the daemon's life
	disk                  // the disk of data_dir
	limit                 // what the daemon may use
	input                 // what it is told
	machine               // the processors, which all hosts share
	reboot                // the whole host anew
	sabotage              // addresses and filters, changed by hand behind vipd's back
)

// blow is one fault about to happen.
type blow struct {
	host   *lab.Host  // whom it hits
	other  *lab.Host  // another one
	random *rand.Rand // for the rest
}

// kind is a way in which things go wrong.
type kind struct {
	name  string
	group group
	wide  bool // it hits the network or the machine, not one host
	// begin makes it happen. mend may take as long as it takes until the host is as before.
	begin func(r *rig, b blow) (mend func() error, detail string, err error)
}

func kinds() []kind {
	return []kind{
		{name: "partition", group: network, wide: true, begin: partition},
		{name: "one-way partition", group: network, wide: true, begin: oneWay},
		{name: "bridge", group: network, wide: true, begin: bridge},
		{name: "flapping partition", group: network, wide: true, begin: flapping},
		{name: "loss", group: network, wide: true, begin: loss},
		{name: "delay", group: network, wide: true, begin: delay},
		{name: "narrow band", group: network, wide: true, begin: narrow},
		{name: "cut off", group: link, begin: pulled},
		{name: "link down", group: link, begin: linkDown},
		{name: "kill", group: process, begin: kill},
		{name: "freeze", group: process, begin: freeze},
		{name: "freeze host", group: process, begin: freezeHost},
		{name: "reboot", group: reboot, begin: rebooted},
		{name: "address removed", group: sabotage, begin: addressRemoved},
		{name: "address added", group: sabotage, begin: addressAdded},
		{name: "fence removed", group: sabotage, begin: fenceRemoved},
		{name: "fence replaced", group: sabotage, begin: fenceReplaced},
		{name: "disk full", group: disk, begin: diskFull},
		{name: "disk slow", group: disk, begin: diskSlow},
		{name: "disk fails", group: disk, begin: diskFails},
		{name: "disk hangs", group: disk, begin: diskHangs},
		{name: "no files", group: limit, begin: noFiles},
		{name: "no memory", group: limit, begin: noMemory},
		{name: "no processor", group: machine, wide: true, begin: starved},
		{name: "nonsense", group: input, begin: nonsense},
		{name: "local nonsense", group: input, begin: localNonsense},
	}
}

// excludes says whether two faults can't be combined: they share hosts (or are about the machine) and would mend one
// another, or are more than is promised. A fence that was taken away by hand needs a daemon that can notice it, and an
// address that was put on by hand one that keeps the fence; so sabotage happens to a host of which nothing else is wrong
// but its network.
func excludes(a, b group) bool {
	if a > b {
		a, b = b, a
	}
	switch b {
	case sabotage, reboot:
		return a != network && (a != link || b == reboot)
	case link, process, disk, machine:
		return a == b
	case network, limit, input:
	}
	return false
}

func nothing() error { return nil }

// split divides the hosts at random into two sides, none of them empty.
func split(hosts []*lab.Host, random *rand.Rand) (left, right []*lab.Host) {
	shuffled := append([]*lab.Host(nil), hosts...)
	random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	n := 1 + random.IntN(len(shuffled)-1)
	return shuffled[:n], shuffled[n:]
}

func both(left, right []*lab.Host) []lab.Path {
	return append(lab.Paths(left, right), lab.Paths(right, left)...)
}

func names(hosts []*lab.Host) string {
	var list []string
	for _, h := range hosts {
		list = append(list, h.Name)
	}
	return strings.Join(list, " ")
}

func partition(r *rig, b blow) (func() error, string, error) {
	left, right := split(r.Hosts, b.random)
	mend, err := r.Impair(both(left, right), lab.Impairment{Loss: 100})
	return mend, names(left) + " | " + names(right), err
}

func oneWay(r *rig, b blow) (func() error, string, error) {
	left, right := split(r.Hosts, b.random)
	mend, err := r.Impair(lab.Paths(left, right), lab.Impairment{Loss: 100})
	return mend, names(left) + " unheard by " + names(right), err
}

// bridge leaves one host that hears both sides, which do not hear each other.
func bridge(r *rig, b blow) (func() error, string, error) {
	left, right := split(r.Others(b.host), b.random)
	mend, err := r.Impair(both(left, right), lab.Impairment{Loss: 100})
	return mend, names(left) + " | " + names(right) + ", " + b.host.Name + " hears both", err
}

func flapping(r *rig, b blow) (func() error, string, error) {
	left, right := split(r.Hosts, b.random)
	period := time.Duration(50+b.random.IntN(500)) * time.Millisecond
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() { failed = flap(r, both(left, right), period, stop) })
	mend := func() error { close(stop); wg.Wait(); return failed }
	return mend, fmt.Sprintf("%s | %s, each %v", names(left), names(right), period), nil
}

// flap cuts the paths and mends them, each for a period, until stop; then they are mended.
func flap(r *rig, paths []lab.Path, period time.Duration, stop <-chan struct{}) error {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		mend, err := r.Impair(paths, lab.Impairment{Loss: 100})
		if err != nil {
			return err
		}
		ended := stopped(ticker, stop)
		if err := mend(); err != nil || ended || stopped(ticker, stop) {
			return err
		}
	}
}

// stopped waits for the next tick, or says that it is over.
func stopped(ticker *time.Ticker, stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	case <-ticker.C:
		return false
	}
}

func loss(r *rig, b blow) (func() error, string, error) {
	percent := 5 + b.random.IntN(50)
	mend, err := r.Impair(both(r.Hosts, r.Hosts), lab.Impairment{Loss: percent})
	return mend, fmt.Sprintf("%d %%", percent), err
}

func delay(r *rig, b blow) (func() error, string, error) {
	how := lab.Impairment{
		Delay:  time.Duration(1+b.random.IntN(int(r.detect.Milliseconds()))) * time.Millisecond,
		Jitter: time.Duration(b.random.IntN(50)) * time.Millisecond,
	}
	mend, err := r.Impair(lab.Paths(r.Hosts, []*lab.Host{b.host}), how)
	return mend, fmt.Sprintf("to %s by %v + %v", b.host, how.Delay, how.Jitter), err
}

func narrow(r *rig, b blow) (func() error, string, error) {
	rate := 2000 + b.random.IntN(20000)
	mend, err := r.Impair(lab.Paths(r.Hosts, []*lab.Host{b.host}), lab.Impairment{Rate: rate})
	return mend, fmt.Sprintf("to %s, %d B/s", b.host, rate), err
}

func pulled(_ *rig, b blow) (func() error, string, error) { return b.host.Heal, "", b.host.Crash() }

func linkDown(_ *rig, b blow) (func() error, string, error) {
	return b.host.LinkUp, "", b.host.LinkDown()
}

// kill is mended when the supervisor has started the daemon again.
func kill(r *rig, b blow) (func() error, string, error) {
	d := r.daemons[b.host]
	before := len(d.Starts())
	_ = d.Signal(unix.SIGKILL) // it may be down already
	return func() error { return startedAgain(d, before) }, "", nil
}

func freeze(r *rig, b blow) (func() error, string, error) {
	d := r.daemons[b.host]
	_ = d.Signal(unix.SIGSTOP) // it may be down
	return func() error { _ = d.Signal(unix.SIGCONT); return nil }, "", nil
}

func freezeHost(_ *rig, b blow) (func() error, string, error) {
	return func() error { return b.host.SignalAll(unix.SIGCONT) }, "", b.host.SignalAll(unix.SIGSTOP)
}

func rebooted(_ *rig, b blow) (func() error, string, error) { return nothing, "", b.host.Reboot() }

func addressRemoved(_ *rig, b blow) (func() error, string, error) {
	detail := "it was not there"
	if b.host.DeleteAddress("eth0") {
		detail = ""
	}
	return nothing, detail, nil
}

func addressAdded(_ *rig, b blow) (func() error, string, error) {
	on := []string{"eth0", "lo"}[b.random.IntN(2)]
	return nothing, "on " + on, b.host.AddAddress(on)
}

func side(b blow) string { return []string{"ingress", "egress"}[b.random.IntN(2)] }

func fenceRemoved(_ *rig, b blow) (func() error, string, error) {
	at := side(b)
	_ = b.host.RemoveFilters(at) // there may be none
	return nothing, at, nil
}

// fenceReplaced is mended by taking the foreign filter away: vipd does not touch what others have attached, and waits.
func fenceReplaced(_ *rig, b blow) (func() error, string, error) {
	at := side(b)
	found, err := b.host.ReplaceFilters(at)
	if !found || err != nil {
		return nothing, at, err
	}
	return func() error { return b.host.RemoveFilters(at) }, at, nil
}

func diskFull(r *rig, b blow) (func() error, string, error) {
	d := r.disks[b.host]
	return d.Empty, "", d.Fill()
}

func diskSlow(r *rig, b blow) (func() error, string, error) {
	each := time.Duration(1+b.random.IntN(300)) * time.Millisecond
	r.disks[b.host].Slow(each)
	return r.mendDisk(b.host), fmt.Sprintf("%v each", each), nil
}

func diskFails(r *rig, b blow) (func() error, string, error) {
	r.disks[b.host].Fail()
	return r.mendDisk(b.host), "", nil
}

func diskHangs(r *rig, b blow) (func() error, string, error) {
	r.disks[b.host].Hang()
	return r.mendDisk(b.host), "", nil
}

func noFiles(r *rig, b blow) (func() error, string, error) {
	mend, err := r.daemons[b.host].ExhaustFiles()
	return mend, "", err
}

func noMemory(r *rig, b blow) (func() error, string, error) {
	mend, err := r.daemons[b.host].ExhaustMemory()
	return mend, "", err
}

func starved(r *rig, b blow) (func() error, string, error) {
	loops := runtime.NumCPU() * (1 + b.random.IntN(4))
	mend, err := r.Starve(loops)
	return mend, fmt.Sprintf("%d busy loops", loops), err
}

func nonsense(r *rig, b blow) (func() error, string, error) {
	from := b.other
	if b.random.IntN(2) == 0 {
		from = r.Client
	}
	return from.TalkNonsense(b.host).Mend, "from " + from.Name, nil
}

func localNonsense(_ *rig, b blow) (func() error, string, error) {
	return b.host.TalkNonsenseLocally().Mend, "", nil
}
