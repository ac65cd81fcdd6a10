package control

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// Suppose is what might happen to a cluster, in the names or ids of its members. A
// failing check is "CHECK@NODE".
type Suppose struct {
	Fail, Lose, Pause []string
}

// Forecast says what would come of it.
type Forecast struct {
	Before string `json:"before"` // who holds now, "" if nobody does
	After  string `json:"after"`  // who would hold then, "" if nobody would
	Why    string `json:"why"`
	// Planned is whether the addresses would be handed over in order; otherwise they
	// are gone for about the detect time.
	Planned bool `json:"planned"`
	// Members says of each why it would hold or would not.
	Members []ForecastMember `json:"members"`
}

// ForecastMember is one member as it would be.
type ForecastMember struct {
	Name     string `json:"name"`
	Priority int    `json:"priority"`
	Fit      bool   `json:"fit"` // could hold, and well
	Why      string `json:"why"`
}

// maxSupposed is how much may be supposed at once.
const maxSupposed = 64

// query is what a [Suppose] is in a URL.
func (s Suppose) query() string {
	return url.Values{"fail": s.Fail, "lose": s.Lose, "pause": s.Pause}.Encode()
}

// readSuppose is the inverse of query, for what anybody may have written.
func readSuppose(query string) (Suppose, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return Suppose{}, usagef("read the query: %v", err)
	}
	count := 0
	for key, list := range values {
		if !slices.Contains([]string{"fail", "lose", "pause"}, key) {
			return Suppose{}, usagef("simulate knows no %q, only fail, lose and pause", key)
		}
		count += len(list)
		for _, name := range list {
			if err := checkSupposed(key, name); err != nil {
				return Suppose{}, err
			}
		}
	}
	if count > maxSupposed {
		return Suppose{}, usagef("more than %d things are supposed at once", maxSupposed)
	}
	return Suppose{Fail: values["fail"], Lose: values["lose"], Pause: values["pause"]}, nil
}

func checkSupposed(key, name string) error {
	check, node, at := strings.Cut(name, "@")
	if key == "fail" && (!at || check == "" || node == "") {
		return &Error{Message: fmt.Sprintf("%q does not say which check on which host", name), Advice: "write CHECK@NODE, for example appsvc@vm1", Code: CodeUsage}
	}
	if name == "" {
		return usagef("%s needs the name of a member", key)
	}
	return checkName("what is supposed", name)
}
