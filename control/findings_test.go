package control

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// well is a status of which nothing needs to be said.
func well() Status {
	s := full()
	s.Cluster.Members[2].Healthy, s.Cluster.Members[2].Reason = true, ""
	s.Warnings = nil
	return s
}

func TestFindings(t *testing.T) {
	tests := map[string]struct {
		change func(*Status)
		want   []string
	}{
		"all is well": {func(*Status) {}, nil},
		"in no cluster": {func(s *Status) {
			s.Cluster, s.Holder, s.Node.State, s.VIP.Bound = Cluster{}, nil, StateBackup, false
		}, []string{"this host is in no cluster yet: found one with `vipd init`, or join one: `vipd token create` there prints the command"}},
		"one voter":  {func(s *Status) { s.Cluster.Members = s.Cluster.Members[:1] }, []string{"one voter: losing this host loses the addresses; join two more"}},
		"two voters": {func(s *Status) { s.Cluster.Members[2].Voter = false }, []string{"with two hosts that vote the loss of either stops the service; add a third, or a witness"}},
		"one host and a witness": {
			func(s *Status) { s.Cluster.Members[1].Witness, s.Cluster.Members[2].Voter = true, false },
			[]string{"with one host and a witness the loss of either stops the service; add a host"},
		},
		"two hosts and a witness": {func(s *Status) {
			m := &s.Cluster.Members[1]
			m.Witness, m.Able, m.Healthy, m.Reason = true, false, false, "a witness"
		}, nil},
		"this host is paused": {func(s *Status) {
			s.Node.Paused, s.Cluster.Members[0].Paused, s.Cluster.Members[0].Healthy = true, true, false
		}, []string{"THIS HOST IS PAUSED and does not take the addresses over: `vipd resume` when the work on it is done"}},
		"forming one": {func(s *Status) {
			s.Cluster, s.Holder, s.Node.State, s.VIP.Bound = Cluster{Forming: "vm2 does not answer"}, nil, StateBackup, false
		}, []string{"this host forms a cluster with the others of cluster.expect: vm2 does not answer"}},
		"a certificate that was renewed": {func(s *Status) { s.Trust.Ends = s.Time.AddDate(0, 0, 60) }, nil},
		"a certificate that was not": {
			func(s *Status) { s.Trust.Ends = s.Time.AddDate(0, 0, 59) },
			[]string{"the certificate of this host ends in 59 days and was not renewed: `journalctl -u vipd` says why; after that this host must begin anew"},
		},
		"a certificate that has ended": {
			func(s *Status) { s.Trust.Ends = s.Time },
			[]string{"THE CERTIFICATE OF THIS HOST HAS ENDED, and the others refuse it: stop vipd, empty the data directory, start vipd and join"},
		},
		"a rotation under way": {func(s *Status) { s.Trust.Rotating = true }, nil},
		"a rotation that waits": {
			func(s *Status) { s.Trust.Rotating, s.Trust.Waiting = true, []string{"vm2", "vm3"} },
			[]string{"the certification authority is being replaced, and that waits for vm2, vm3: start vipd there, or `vipd remove` who does not come back"},
		},
		"paused, in no cluster": {func(s *Status) {
			s.Cluster, s.Holder, s.Node.State, s.VIP.Bound, s.Node.Paused = Cluster{}, nil, StateBackup, false, true
		}, []string{
			"this host is in no cluster yet: found one with `vipd init`, or join one: `vipd token create` there prints the command",
			"THIS HOST IS PAUSED and does not take the addresses over: `vipd resume` when the work on it is done",
		}},
		"a member is paused": {func(s *Status) {
			m := &s.Cluster.Members[1]
			m.Paused, m.Able, m.Healthy, m.Reason = true, false, false, "paused by an operator"
		}, []string{"vm2 is paused and does not take the addresses over"}},
		"frozen": {
			func(s *Status) { s.Cluster.Frozen = &Frozen{By: "vm2", Time: at("02:58:30")} },
			[]string{"vm2 has frozen the cluster, 1 min ago: the addresses do not move unless their holder is lost, stopped, or not able to hold at all; `vipd thaw` ends it"},
		},
		"no quorum": {func(s *Status) {
			s.Cluster.Quorum.Reachable, s.Holder, s.Node.State, s.VIP.Bound = new(1), nil, StateBackup, false
		}, []string{
			"one voter can be reached and 2 are needed: nobody can hold the addresses",
			"no leader is known here: too few members reach each other, or an election is under way; members that this host does not hear may have one",
		}},
		"quorum unknown":     {func(s *Status) { s.Cluster.Quorum.Reachable = nil }, nil},
		"fence not armed":    {func(s *Status) { s.Fence = Fence{Error: "no CAP_BPF"} }, []string{"the fence is not armed, so this host does not stand for election: no CAP_BPF"}},
		"fault":              {func(s *Status) { s.Node.State, s.Node.Reason, s.VIP.Bound = StateFault, "appsvc", false }, []string{"this host is in FAULT: appsvc"}},
		"held but not bound": {func(s *Status) { s.VIP.Bound = false }, []string{"this host holds the lease but the addresses are not bound"}},
		"bound but not held": {func(s *Status) { s.Node.State = StateBackup }, []string{"the addresses are bound though this host does not hold them (the fence keeps them silent)"}},
		"hook failed":        {func(s *Status) { s.Hooks.LastError = "exit status 3" }, []string{"the last run of the notify script (MASTER) failed: exit status 3"}},
		"hook still starting the service": {func(s *Status) {
			s.Hooks.Running, s.Hooks.Last, s.Hooks.LastError = StateMaster, s.Time.Add(-12*time.Second), "exit status 3"
		}, []string{"the notify script (MASTER) has been running for 12 s, so the service may not be up yet"}},
		"hook still stopping the service": {func(s *Status) { s.Hooks.Running, s.Hooks.Last = StateBackup, s.Time.Add(-1500*time.Millisecond) }, []string{"the notify script (BACKUP) has been running for 1.5 s; the hand-over waits for it"}},
		"hook still running after a loss": {func(s *Status) {
			s.Node.State, s.VIP.Bound, s.Lease.Held, s.Hooks.Running, s.Hooks.Last = StateBackup, false, false, StateBackup, s.Time.Add(-1500*time.Millisecond)
		}, []string{"the notify script (BACKUP) has been running for 1.5 s"}},
		"hook has just begun": {func(s *Status) { s.Hooks.Running, s.Hooks.Last = StateMaster, s.Time.Add(-time.Second) }, nil},
		"member unhealthy":    {func(s *Status) { s.Cluster.Members[2].Healthy = false }, []string{"vm3 is not healthy"}},
		"member silent": {func(s *Status) {
			s.Cluster.Members[1].Contact = new(Millis(72345 * time.Millisecond))
			s.Cluster.Members[1].Healthy = false
		}, []string{"vm2 has been silent for 1 min"}},
		"member heard a detect ago": {func(s *Status) { s.Cluster.Members[1].Contact = new(s.Cluster.Detect) }, nil},
		"itself unhealthy and in FAULT is said once": {func(s *Status) {
			s.Node.State, s.Node.Reason, s.VIP.Bound = StateFault, "appsvc: exit status 1", false
			s.Cluster.Members[0].Healthy, s.Cluster.Members[0].Reason = false, s.Node.Reason
		}, []string{"this host is in FAULT: appsvc: exit status 1"}},
		"mixed versions": {func(s *Status) {
			s.Cluster.Members[1].Version, s.Cluster.Members[2].Version = "1.1.0", ""
		}, []string{"the members run different versions: 1.0.0 (vm1), 1.1.0 (vm2)"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := well()
			test.change(&s)
			if d := cmp.Diff(test.want, s.findings()); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

func TestTheDaemonsOwnWarningsComeFirstAndAreNotChanged(t *testing.T) {
	s := well()
	s.Warnings = make([]string, 1, 8)
	s.Warnings[0] = "the disk is slow"
	s.Fence = Fence{Error: "the ingress filter was removed"}
	want := []string{"the disk is slow", "the fence is not armed, so this host does not stand for election: the ingress filter was removed"}
	if d := cmp.Diff(want, s.complete().Warnings); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"the disk is slow", ""}, s.Warnings[:2]); d != "" {
		t.Errorf("the caller's list changed (-want +got):\n%s", d)
	}
}
