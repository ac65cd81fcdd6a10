package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	root   = "../.."
	module = "github.com/vipd/vipd/"
)

// leaves do one thing each; agent and cmd put them together.
var leaves = []string{"election", "vip", "health", "hooks", "control", "trust"}

// A rule says which packages a package may not import. The hosts of the tests in internal are free.
type rule struct {
	reason    string
	forbids   func(importer, imported string) bool
	testsFree bool // the rule is only for what runs in production
}

var rules = []rule{
	{
		reason: "only election may import hashicorp/raft: the safety of the lease rests on its being used in one guarded way",
		forbids: func(importer, imported string) bool {
			return within(imported, "github.com/hashicorp/raft", "github.com/hashicorp/raft-boltdb") && !within(importer, "election")
		},
	},
	{
		reason: "only vip may talk to the kernel about links, addresses and filters: nobody else can then put an address where there is no fence",
		forbids: func(importer, imported string) bool {
			return within(imported, "github.com/vishvananda/netlink", "github.com/cilium/ebpf", "github.com/mdlayher/packet") &&
				!within(importer, "vip")
		},
	},
	{
		reason: "only hooks and health may start programs: they know how to end them with all that they have started",
		forbids: func(importer, imported string) bool {
			return imported == "os/exec" && !within(importer, "hooks", "health")
		},
		testsFree: true,
	},
	{
		reason: "a leaf may not import another, nor agent, config or cmd: each can be read, tested and proven alone; but election keeps what trust makes, and seats is a value that several need",
		forbids: func(importer, imported string) bool {
			own, ours := strings.CutPrefix(imported, module)
			return ours && within(importer, leaves...) && !within(own, first(importer), "seats") && !(importer == "election" && own == "trust")
		},
		testsFree: true,
	},
	{
		reason: "agent may know the values of election, vip, health and hooks, and no other package of ours: it decides, and others talk and read files",
		forbids: func(importer, imported string) bool {
			own, ours := strings.CutPrefix(imported, module)
			return ours && within(importer, "agent") && !within(own, "agent", "election", "vip", "health", "hooks")
		},
		testsFree: true,
	},
	{
		reason: "config may know the leaves, which it fills, and not who uses them",
		forbids: func(importer, imported string) bool {
			own, ours := strings.CutPrefix(imported, module)
			return ours && within(importer, "config") && !within(own, append(leaves, "config")...)
		},
		testsFree: true,
	},
	{
		reason: "internal is for tests, demo, bench, chaos and attack: the program may not depend on it",
		forbids: func(_, imported string) bool {
			return within(imported, module+"internal")
		},
		testsFree: true,
	},
}

func TestPackagesKnowOnlyWhomTheyMay(t *testing.T) {
	for _, file := range sources(t) {
		importer := path.Dir(file.name)
		for _, imported := range file.imports {
			for _, r := range rules {
				if r.testsFree && strings.HasSuffix(file.name, "_test.go") {
					continue
				}
				if r.forbids(importer, imported) {
					t.Errorf("%s imports %s, but %s", file.name, imported, r.reason)
				}
			}
		}
	}
}

// The rules above would all hold if nothing were read.
func TestEachRuleForbidsSomething(t *testing.T) {
	tests := []struct{ importer, imported, reason string }{
		{"agent", "github.com/hashicorp/raft", "hashicorp/raft"},
		{"cmd/vipd", "github.com/hashicorp/raft-boltdb/v2", "hashicorp/raft"},
		{"agent", "github.com/cilium/ebpf/link", "the kernel"},
		{"vip", "os/exec", "start programs"},
		{"vip", module + "election", "a leaf"},
		{"control/controltest", module + "agent", "a leaf"},
		{"trust", module + "election", "a leaf"},
		{"agent", module + "config", "agent may know"},
		{"config", module + "agent", "config may know"},
		{"cmd/vipd", module + "internal/lab", "internal is"},
	}
	for _, test := range tests {
		if !slices.ContainsFunc(rules, func(r rule) bool {
			return strings.Contains(r.reason, test.reason) && r.forbids(test.importer, test.imported)
		}) {
			t.Errorf("no rule about %q forbids %s to import %s", test.reason, test.importer, test.imported)
		}
	}
	for _, r := range rules {
		if r.forbids("election", module+"election/electiontest") {
			t.Errorf("a package may not import its own part: %s", r.reason)
		}
	}
	if n := len(sources(t)); n < 10 {
		t.Errorf("only %d source files found", n)
	}
}

type source struct {
	name    string // from the root of the module
	imports []string
}

// sources reads the imports of all Go files outside internal, whatever system or tags they are for.
func sources(t *testing.T) []source {
	t.Helper()
	var found []source
	err := filepath.WalkDir(root, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err = filepath.Rel(root, name)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name == "internal" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && name != "." {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, name), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		found = append(found, source{name, paths(t, file.Imports)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func paths(t *testing.T, specs []*ast.ImportSpec) []string {
	t.Helper()
	var found []string
	for _, spec := range specs {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
	return found
}

// within says whether pkg is one of parents or lies below one.
func within(pkg string, parents ...string) bool {
	return slices.ContainsFunc(parents, func(parent string) bool {
		return pkg == parent || strings.HasPrefix(pkg, parent+"/")
	})
}

// first is the first element of a path.
func first(p string) string {
	name, _, _ := strings.Cut(p, "/")
	return name
}
