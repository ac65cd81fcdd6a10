package election

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/vipd/vipd/trust"
)

// Recovery is a member, not running, that may become the only one of a new cluster
// because the majority of its own is lost for ever. Whether that is so no program can
// know: were the others merely cut off, they would hold beside this one.
type Recovery struct {
	Cluster string   // the old one's id
	Self    Member   // this host, as the others know it
	Others  []Member // all other members, in the order of their names
	Term    uint64   // of the last entry that this host has
	Index   uint64   // of that entry

	cfg     Config
	store   *store
	machine *machine
}

// answerTimeout is how long [Recovery.Perform] waits for a member that is said to be
// lost.
const answerTimeout = time.Second

// OpenRecovery reads the disk of a member. Of cfg it needs Address, Detect, Disk,
// Machine, Dial and Log. It fails on a host that belongs to no cluster. The disk is
// closed by [Recovery.Close], or here on an error.
func OpenRecovery(cfg Config) (*Recovery, error) {
	r := &Recovery{cfg: cfg, store: &store{Disk: cfg.Disk}, machine: newMachine()}
	err := contained(r.read)
	if _, told := errors.AsType[*hintedError](err); err != nil && !told {
		err = hinted(fmt.Sprintf("data directory: read the log and the snapshots: %v", err),
			wayOut(err, "recover on another host that is left; if there is none, empty the data directory, start vipd and run `vipd init`"))
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// Close closes the disk.
func (r *Recovery) Close() error { return r.store.Close() }

func (r *Recovery) read() error {
	id, err := r.store.identify(r.cfg.Machine)
	switch {
	case err != nil:
		return err
	case id.Cluster == "":
		return ErrNotMember
	case id.Detect != r.cfg.Detect:
		return detectDiffers(r.cfg.Detect, id.Detect)
	}
	r.Cluster = id.Cluster
	_, wire := raft.NewInmemTransport(raft.ServerAddress(r.cfg.Address.String()))
	members, err := raft.GetConfiguration(r.raftConfig(id.ID), r.machine, r.store, r.store, r.store, wire)
	if err != nil {
		return err
	}
	if err := r.replay(); err != nil {
		return err
	}
	r.sort(members.Servers, id.ID)
	if r.Self.ID == "" {
		return hinted("this host is no voting member of its cluster, so it may lack what the others agreed on", "recover on a host that is one")
	}
	return nil
}

func (r *Recovery) raftConfig(self string) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID, c.Logger = raft.ServerID(self), newRaftLogger(r.cfg.Log)
	return c
}

// replay brings the machine, which has the newest snapshot, to the end of the log.
func (r *Recovery) replay() error {
	snapshots, err := r.store.List()
	if err != nil {
		return err
	}
	if len(snapshots) > 0 {
		r.Term, r.Index = snapshots[0].Term, snapshots[0].Index
	}
	last, err := r.store.LastIndex()
	if err != nil {
		return err
	}
	for i := r.Index + 1; i <= last; i++ {
		var entry raft.Log
		if err := r.store.GetLog(i, &entry); err != nil {
			return fmt.Errorf("entry %d: %w", i, err)
		}
		if entry.Type == raft.LogCommand {
			r.machine.Apply(&entry) // one of a later version is passed over, as it is by all members
		}
		r.Term, r.Index = entry.Term, entry.Index
	}
	return nil
}

// sort tells this host from the others. Its id may be a new one already, if a recovery
// was broken off.
func (r *Recovery) sort(servers []raft.Server, self string) {
	for _, s := range servers {
		m, known := r.machine.get().member(func(m Member) bool { return m.ID == string(s.ID) })
		if !known {
			m = Member{ID: string(s.ID), Name: string(s.Address), Address: string(s.Address)}
		}
		own := m.ID == self || m.Address == r.cfg.Address.String()
		switch {
		case !own:
			r.Others = append(r.Others, m)
		case s.Suffrage == raft.Voter:
			r.Self = m
		}
	}
	slices.SortFunc(r.Others, func(a, b Member) int { return compareNames(a.Name, b.Name) })
}

// Perform makes this host, under a new id, the only member of a new cluster, and
// returns that cluster's id. What the old one has replicated is kept. lost must name
// each of the other members, by name or id; one that answers is not lost. If it is
// broken off it leaves no member of any cluster, and must be repeated.
func (r *Recovery) Perform(ctx context.Context, lost []string) (cluster string, err error) {
	if err := r.agree(lost); err != nil {
		return "", err
	}
	if err := r.silent(ctx); err != nil {
		return "", err
	}
	term, err := r.store.GetUint64([]byte("CurrentTerm"))
	if err != nil {
		return "", fmt.Errorf("read the term: %w", err)
	}
	self := identity{ID: randomID(), Machine: r.cfg.Machine, Cluster: randomID(), Detect: r.cfg.Detect}
	authority, err := trust.NewAuthority(self.Cluster, time.Now())
	if err != nil {
		return "", fmt.Errorf("make a CA: %w", err)
	}
	if self.Credentials, err = trust.Issue(authority, self.Cluster, self.ID, time.Now()); err != nil {
		return "", fmt.Errorf("make a certificate: %w", err)
	}
	if err := r.store.put(keyIdentity, self); err != nil {
		return "", fmt.Errorf("record the new cluster: %w", err)
	}
	address := raft.ServerAddress(r.cfg.Address.String())
	only := raft.Configuration{Servers: []raft.Server{{ID: raft.ServerID(self.ID), Address: address}}}
	_, wire := raft.NewInmemTransport(address)
	founded := &founding{newMachine(), self, authority, r.Self, intent{term, "recovered without " + r.names(), ByOperator}}
	if err := raft.RecoverCluster(r.raftConfig(self.ID), founded, r.store, r.store, r.store, wire, only); err != nil {
		return "", hinted(fmt.Sprintf("write the new cluster: %v", err), "this host is a member of none now; repeat the command")
	}
	return self.Cluster, nil
}

// agree looks whether lost are the others, neither more nor less.
func (r *Recovery) agree(lost []string) error {
	if len(r.Others) == 0 {
		return hinted("this host is the only member: there is nothing to recover", "start vipd")
	}
	is := func(who string) func(Member) bool {
		return func(m Member) bool { return m.Name == who || m.ID == who }
	}
	for _, who := range lost {
		if !slices.ContainsFunc(r.Others, is(who)) {
			return hinted(fmt.Sprintf("there is no other member %q", who), "the others are "+r.names())
		}
	}
	for _, m := range r.Others {
		if !slices.ContainsFunc(lost, func(who string) bool { return is(who)(m) }) {
			return hinted(m.Name+" is a member too", "name it as well, if it is gone for ever; if it only has to begin anew, stop vipd there, empty its data directory, and then name it as well")
		}
	}
	return nil
}

// silent looks whether one of the others answers.
func (r *Recovery) silent(ctx context.Context) error {
	for _, m := range r.Others {
		ctx, cancel := context.WithTimeout(ctx, answerTimeout)
		conn, err := r.cfg.Dial(ctx, m.Address)
		cancel()
		if err == nil {
			_ = conn.Close()
			return hinted(fmt.Sprintf("%s answers at %s, so it is not lost", m.Name, m.Address),
				"if a majority of the members runs or can run again, start vipd here, and all is well; if not, stop vipd there, empty its data directory, and let it join after the recovery")
		}
	}
	return ctx.Err()
}

func (r *Recovery) names() string {
	names := make([]string, len(r.Others))
	for i, m := range r.Others {
		names[i] = m.Name
	}
	return strings.Join(names, ", ")
}

// founding is the replicated state of the old cluster, which becomes that of the new
// one when it is written.
type founding struct {
	*machine
	identity  identity
	authority trust.Authority
	self      Member
	reason    intent
}

// Snapshot returns the state of the new cluster.
func (f *founding) Snapshot() (raft.FSMSnapshot, error) {
	st := f.get()
	f.self.ID = f.identity.ID
	st.Cluster, st.Detect, st.Members = f.identity.Cluster, f.identity.Detect, []Member{f.self}
	st.Authority, st.Tokens, st.Enrolled, st.Removed = f.authority, nil, nil, nil
	return snapshot{st.apply(command{Intent: &f.reason})}, nil
}
