package deploy

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheExampleNotifyScriptRunsTheServiceOnTheMasterOnly(t *testing.T) {
	tests := map[string]string{"MASTER": "start apache2", "BACKUP": "stop apache2", "FAULT": "stop apache2", "STOP": "stop apache2", "DELETED": ""}
	for state, want := range tests {
		t.Run(state, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\necho \"$@\" >"+dir+"/called\n", 0o700)
			notify := exec.Command("examples/notify.sh", "INSTANCE", "vipd", state, "100")
			notify.Env = []string{"PATH=" + dir}
			if err := notify.Run(); (err == nil) != (want != "") {
				t.Errorf("notify.sh: %v", err)
			}
			called, _ := os.ReadFile(filepath.Join(dir, "called"))
			if got := strings.TrimSpace(string(called)); got != want {
				t.Errorf("systemctl %q, want %q", got, want)
			}
		})
	}
}

// anAzureCLI is a model of az: DIR/login says that somebody is logged in, and DIR/vms/GROUP/NAME holds the power state of a
// machine. One that is told to stop is off when it is looked at for the second time; one with "stuck" in its name never is, and
// one with "busy" in its name refuses the first order.
const anAzureCLI = `#!/bin/sh
verb="$1 $2"
while [ $# -gt 0 ]; do
	case "$1" in
	--resource-group) group="$2" ;;
	--name) name="$2" ;;
	--skip-shutdown) skip=yes ;;
	--no-wait) later=yes ;;
	esac
	shift
done
[ -e DIR/login ] || { echo "ERROR: Please run 'az login' to setup account." >&2; exit 1; }
[ "$verb" != "account show" ] || exit 0
file="DIR/vms/$group/$name"
[ -e "$file" ] || {
	echo "ERROR: (ResourceNotFound) The Resource 'Microsoft.Compute/virtualMachines/$name' under resource group '$group' was not found." >&2
	exit 3
}
case "$verb" in
"vm stop")
	[ "$skip$later" = yesyes ] || { echo "this would wait for the system in the machine" >&2; exit 1; }
	case "$name" in
	*busy*) [ -e DIR/refused ] || { touch DIR/refused; echo "ERROR: (Conflict) another operation is running" >&2; exit 1; } ;;
	esac
	echo PowerState/stopping >"$file"
	;;
"vm get-instance-view")
	state=$(cat "$file")
	echo "$state"
	case "$state $name" in
	*stuck*) ;;
	PowerState/stopping*) echo PowerState/stopped >"$file" ;;
	esac
	;;
*)
	echo "ERROR: '$verb' is misspelled or not recognized by the system." >&2
	exit 2
	;;
esac
`

func TestTheFenceScriptForAzureSucceedsOnlyWhenTheMachineIsOff(t *testing.T) {
	loggedIn := map[string]string{
		"login": "", "vms/web/vm1": "PowerState/running", "vms/web/production-web-1": "PowerState/running",
		"vms/web/busy": "PowerState/running", "vms/web/stuck": "PowerState/running", "vms/web/gone": "PowerState/deallocated",
	}
	tests := map[string]struct {
		azure     map[string]string
		oldHolder string
		state     string // the script's argument; FENCE if empty
		edit      *strings.Replacer
		machine   string // that must be off if the script succeeds
		want      string // what the script says
		fails     bool
	}{
		"success":                 {azure: loggedIn, oldHolder: "vm1", machine: "vm1", want: "vm1 is off"},
		"off already":             {azure: loggedIn, oldHolder: "gone", machine: "gone", want: "gone is off"},
		"another name":            {azure: loggedIn, oldHolder: "vm1", machine: "production-web-1", want: "production-web-1 is off", edit: strings.NewReplacer("# vm1) echo", "vm1) echo")},
		"refused at first":        {azure: loggedIn, oldHolder: "busy", machine: "busy", want: "busy is off"},
		"not stopped in time":     {azure: loggedIn, oldHolder: "stuck", fails: true, want: "stuck is not fenced: after 0 s its state is PowerState/stopping", edit: strings.NewReplacer("WAIT=90", "WAIT=0")},
		"no such machine":         {azure: loggedIn, oldHolder: "vm9", fails: true, want: "vm9 is not fenced: Azure refuses, see above; is there such a machine in web"},
		"not logged in":           {oldHolder: "vm1", fails: true, want: "vm1 is not fenced: az is not logged in"},
		"nobody to fence":         {azure: loggedIn, fails: true, want: "VIPD_OLD_HOLDER is empty"},
		"the group is not set":    {azure: loggedIn, oldHolder: "vm1", fails: true, want: "RESOURCE_GROUP is not set", edit: strings.NewReplacer("RESOURCE_GROUP=web", "RESOURCE_GROUP=")},
		"used as a notify script": {azure: loggedIn, oldHolder: "vm1", state: "BACKUP", fails: true, want: "can't be called with BACKUP"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, content := range test.azure {
				write(t, filepath.Join(dir, file), content, 0o600)
			}
			write(t, filepath.Join(dir, "az"), strings.ReplaceAll(anAzureCLI, "DIR", dir), 0o700)
			write(t, filepath.Join(dir, "sleep"), "#!/bin/sh\n", 0o700)
			script := strings.Replace(read(t, "examples/fence-azure.sh"), "RESOURCE_GROUP= ", "RESOURCE_GROUP=web ", 1)
			if test.edit != nil {
				script = test.edit.Replace(script)
			}
			write(t, filepath.Join(dir, "fence.sh"), script, 0o700)
			state := test.state
			if state == "" {
				state = "FENCE"
			}
			fence := exec.Command(filepath.Join(dir, "fence.sh"), "INSTANCE", "vipd", state, "100")
			fence.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "VIPD_OLD_HOLDER=" + test.oldHolder}
			out, err := fence.CombinedOutput()
			if (err != nil) != test.fails || !strings.Contains(string(out), test.want) {
				t.Errorf("got %v and\n%swant %q", err, out, test.want)
			}
			if test.machine != "" {
				if state := strings.TrimSpace(read(t, filepath.Join(dir, "vms/web", test.machine))); state != "PowerState/stopped" {
					t.Errorf("%s is in the state %s", test.machine, state)
				}
			}
		})
	}
}

func TestTheFenceScriptForAzureSaysSoWhereThereIsNoCLI(t *testing.T) {
	dir := t.TempDir()
	script := strings.Replace(read(t, "examples/fence-azure.sh"), "RESOURCE_GROUP= ", "RESOURCE_GROUP=web ", 1)
	write(t, filepath.Join(dir, "fence.sh"), script, 0o700)
	fence := exec.Command(filepath.Join(dir, "fence.sh"), "INSTANCE", "vipd", "FENCE", "100")
	fence.Env = []string{"PATH=" + dir, "VIPD_OLD_HOLDER=vm1"}
	if out, err := fence.CombinedOutput(); err == nil || !strings.Contains(string(out), "(az) is not installed") {
		t.Errorf("got %v and\n%s", err, out)
	}
}

func TestTheExamplePrepareScriptStartsWhatTheServiceNeedsAndNotTheService(t *testing.T) {
	tests := map[string]struct {
		state, configtest, want string
		fails                   bool
	}{
		"prepare":               {state: "PREPARE", configtest: "exit 0", want: "start memcached\n"},
		"the service is broken": {state: "PREPARE", configtest: "exit 1", fails: true},
		"used as a notify hook": {state: "MASTER", configtest: "exit 0", fails: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, filepath.Join(dir, "systemctl"), "#!/bin/sh\necho \"$@\" >>"+dir+"/called\n", 0o700)
			write(t, filepath.Join(dir, "apachectl"), "#!/bin/sh\n"+test.configtest+"\n", 0o700)
			write(t, filepath.Join(dir, "www", "index.html"), "hello", 0o600)
			write(t, filepath.Join(dir, "prepare.sh"), strings.ReplaceAll(read(t, "examples/prepare.sh"), "/var/www", dir+"/www"), 0o700)
			prepare := exec.Command(filepath.Join(dir, "prepare.sh"), "INSTANCE", "vipd", test.state, "100")
			prepare.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
			if out, err := prepare.CombinedOutput(); (err != nil) != test.fails {
				t.Errorf("got %v and\n%s", err, out)
			}
			called, _ := os.ReadFile(filepath.Join(dir, "called"))
			if diff := cmp.Diff(test.want, string(called)); diff != "" {
				t.Errorf("systemctl (-want +got):\n%s", diff)
			}
		})
	}
}
