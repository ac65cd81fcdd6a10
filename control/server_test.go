package control_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/control/controltest"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

func TestWhatIsAskedWronglyIsRefusedAndSaysWhy(t *testing.T) {
	l, path := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go control.Serve(ctx, l, controltest.NewCluster("vm1").Host("vm1"), zap.NewNop())

	tests := map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"unknown path":     {"GET", "/v1/weather", "", 400, `{"error":"vipd has no GET /v1/weather","code":2}`},
		"wrong method":     {"POST", "/v1/status", "", 400, `{"error":"vipd has no POST /v1/status","code":2}`},
		"no peer":          {"POST", "/v1/join", "", 400, `{"error":"join needs the address of a member","code":2}`},
		"no node":          {"POST", "/v1/remove", "{}", 400, `{"error":"remove needs the name of a member","code":2}`},
		"unknown key":      {"POST", "/v1/init", `{"force":true}`, 400, `{"error":"read the request: json: unknown field \"force\"","code":2}`},
		"two objects":      {"POST", "/v1/init", `{}{}`, 400, `{"error":"read the request: something follows the JSON object","code":2}`},
		"not JSON":         {"POST", "/v1/init", `init`, 400, `{"error":"read the request: invalid character 'i' looking for beginning of value","code":2}`},
		"a line in a name": {"POST", "/v1/join", `{"peer":"a\nb"}`, 400, `{"error":"the peer \"a\\nb\" has characters that no name has","code":2}`},
		"a long name":      {"POST", "/v1/transfer", `{"node":"` + strings.Repeat("a", 300) + `"}`, 400, `{"error":"the node is longer than 261 bytes","code":2}`},
		"no yes or no":     {"POST", "/v1/transfer", `{"hasty":"yes"}`, 400, `{"error":"read the request: json: cannot unmarshal string into Go struct field Transfer.hasty of type bool","code":2}`},
		"pause with words": {"POST", "/v1/pause", `{"node":"vm1"}`, 400, `{"error":"read the request: json: unknown field \"node\"","code":2}`},
		"an odd token":     {"POST", "/v1/join", `{"peer":"vm1","token":"vipd1.a b"}`, 400, `{"error":"the token is longer than a token can be, or has characters that no token has","code":2}`},
		"a long token":     {"POST", "/v1/join", `{"peer":"vm1","token":"` + strings.Repeat("a", 300) + `"}`, 400, `{"error":"the token is longer than a token can be, or has characters that no token has","code":2}`},
		"no use":           {"POST", "/v1/token/create", "", 400, `{"error":"a token can't be good for 0s","hint":"give it from 1m to 720h (30 days), for example --ttl 1h","code":2}`},
		"too long a use":   {"POST", "/v1/token/create", `{"ttl_ms":2592001000,"uses":1}`, 400, `{"error":"a token can't be good for 720h0m1s","hint":"give it from 1m to 720h (30 days), for example --ttl 1h","code":2}`},
		"no host":          {"POST", "/v1/token/create", `{"ttl_ms":60000}`, 400, `{"error":"a token can't be good for 0 hosts","hint":"give it from 1 to 100 uses, for example --uses 2","code":2}`},
		"too many hosts":   {"POST", "/v1/token/create", `{"ttl_ms":60000,"uses":101}`, 400, `{"error":"a token can't be good for 101 hosts","hint":"give it from 1 to 100 uses, for example --uses 2","code":2}`},
		"no token":         {"POST", "/v1/token/revoke", "", 400, `{"error":"revoke needs the id of a token","code":2}`},
		"a question":       {"GET", "/v1/freeze", "", 400, `{"error":"vipd has no GET /v1/freeze","code":2}`},
		"a check nowhere":  {"GET", "/v1/simulate?fail=appsvc", "", 400, `{"error":"\"appsvc\" does not say which check on which host","hint":"write CHECK@NODE, for example appsvc@vm1","code":2}`},
		"an odd event":     {"GET", "/v1/simulate?loose=vm1", "", 400, `{"error":"simulate knows no \"loose\", only fail, lose and pause","code":2}`},
		"lots of events":   {"GET", "/v1/simulate?" + strings.Repeat("lose=vm1&", 65), "", 400, `{"error":"more than 64 things are supposed at once","code":2}`},
		"a long body":      {"POST", "/v1/init", strings.Repeat(" ", 5000), 400, `{"error":"the request is longer than 4096 bytes","code":2}`},
		"nobody leads":     {"GET", "/v1/leader", "", 503, "{\"error\":\"there is no leader now\",\"hint\":\"an election takes about the detect time; if this lasts, too few members reach each other: see `vipd status`; if a majority is lost for ever: `vipd recover --help`\",\"code\":3}"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := ask(t, path, test.method, test.path, test.body)
			if status != test.status {
				t.Errorf("status %d, want %d", status, test.status)
			}
			if d := cmp.Diff(test.want+"\n", body); d != "" {
				t.Errorf("answer (-want +got):\n%s", d)
			}
		})
	}
}

// ask sends one request to the socket at path, with nothing of our client.
func ask(t *testing.T, socket, method, path, body string) (int, string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", socket)
		},
	}}
	request, err := http.NewRequestWithContext(t.Context(), method, "http://vipd"+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

func TestTheLogSaysWhoGaveAnOrderAndWhatBecameOfItAndNothingOfQuestions(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	vm1 := serve(t, controltest.NewCluster("vm1").Host("vm1"), zap.New(core))
	if _, err := vm1.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := vm1.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := vm1.Transfer(t.Context(), control.Transfer{Node: "vm1"}); err != nil {
		t.Fatal(err)
	}
	refused(t, "remove", vm1.Remove(t.Context(), "vm9"), control.CodeUsage)

	var got []string
	for _, entry := range logs.All() {
		fields := entry.ContextMap()
		if _, timed := fields["took"]; timed == strings.Contains(entry.Message, "gives") {
			t.Errorf("%s: took %v", entry.Message, fields["took"])
		}
		delete(fields, "took")
		got = append(got, fmt.Sprint(entry.Message, " ", fields))
	}
	who := fmt.Sprintf("pid:%d uid:%d", os.Getpid(), os.Getuid())
	want := []string{
		"an operator gives an order map[arguments:{} order:/v1/init " + who + "]",
		"the order was carried out map[arguments:{} order:/v1/init " + who + "]",
		"an operator gives an order map[arguments:{vm1 false} order:/v1/transfer " + who + "]",
		"the order was carried out map[arguments:{vm1 false} order:/v1/transfer " + who + "]",
		"an operator gives an order map[arguments:{vm9} order:/v1/remove " + who + "]",
		"the order was not carried out map[arguments:{vm9} error:there is no member \"vm9\" order:/v1/remove " + who + "]",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("log (-want +got):\n%s", d)
	}
}

// TestATokenIsInNoLog has a host join and be refused, with the log as a file has it.
func TestATokenIsInNoLog(t *testing.T) {
	var lines bytes.Buffer
	core := zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&lines), zap.DebugLevel)
	cluster := controltest.NewCluster("vm1", "vm2")
	vm1, vm2 := serve(t, cluster.Host("vm1"), zap.New(core)), serve(t, cluster.Host("vm2"), zap.New(core))
	if _, err := vm1.Init(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := vm1.CreateToken(t.Context(), control.TokenUse{TTL: control.Millis(time.Hour), Uses: 1}); err != nil {
		t.Fatal(err)
	}
	_, err := vm2.Join(t.Context(), "10.11.12.4", "vipd1.model9")
	refused(t, "join with a token that there is not", err, control.CodeFailed)
	_, err = vm2.Join(t.Context(), "10.11.12.4", "vipd1.model2 ")
	refused(t, "join with what is no token", err, control.CodeUsage)
	if _, err := vm2.Join(t.Context(), "10.11.12.4", "vipd1.model2"); err != nil {
		t.Fatal(err)
	}
	if got := lines.String(); strings.Contains(got, "vipd1.") || !strings.Contains(got, `"arguments":{"peer":"10.11.12.4"}`) {
		t.Errorf("want the peer and no token in\n%s", got)
	}
}

// leaver is a daemon that ends when it is told to leave, before it answers.
type leaver struct {
	*controltest.Host
	end context.CancelFunc
}

func (l leaver) Leave(context.Context) error {
	l.end()
	return nil
}

func TestWhoAskedForTheEndIsToldOfIt(t *testing.T) {
	l, path := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- control.Serve(ctx, l, leaver{controltest.NewCluster("vm1").Host("vm1"), cancel}, zap.NewNop())
	}()
	if err := control.NewClient(path, "vipd").Leave(t.Context()); err != nil {
		t.Errorf("leave: %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
}

func TestServeSaysWhenItsListenerBreaks(t *testing.T) {
	l, _ := listen(t)
	_ = l.Close()
	if err := control.Serve(t.Context(), l, controltest.NewCluster("vm1").Host("vm1"), zap.NewNop()); err == nil {
		t.Error("Serve on a closed listener: no error")
	}
}
