package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"github.com/vipd/vipd/health"
)

// http reads a check of a page. The file with its CA is what CheckHost looks at.
func (r *reader) http(v value) (probe health.HTTP, ca value) {
	m := r.mapping(v)
	where, tls := r.need(m, "url"), m.get("tls")
	probe = health.HTTP{
		URL:    r.url(where),
		Expect: r.statuses(m.get("expect")),
		Body:   r.body(m.get("body")),
		Host:   r.site(m.get("host"), ":[]"),
	}
	probe.TLS, ca = r.tls(tls)
	if tls.node != nil && strings.HasPrefix(strings.ToLower(probe.URL), "http:") {
		r.refuse(tls, "leave tls out, or write https in url", "is without effect, because url does not begin with https://")
	}
	return probe, ca
}

func (r *reader) url(v value) string {
	text, ok := r.text(v)
	if !ok {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		r.wrongKind(v)
		return ""
	}
	_, goodPort := parsePort(u.Port())
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		r.refuse(v, "write, for example, "+keyAt(v.path).assignment(), "%s does not begin with http:// or https://", quote(text))
	case u.Hostname() == "":
		r.refuse(v, "write, for example, "+keyAt(v.path).assignment(), "%s names no host", quote(text))
	case u.Port() != "" && !goodPort:
		r.refuse(v, "write a port from 1 to 65535, or none", "%s is not a port", quote(u.Port()))
	case u.User != nil:
		r.refuse(v, "take them out; for a page that needs them, write a script", "a user and a password stand in it")
	case strings.Contains(text, "#"):
		r.refuse(v, "leave it out", "what follows # is for browsers and not sent to the server")
	}
	return text
}

// statuses reads one status or range, or a list of them.
func (r *reader) statuses(v value) []health.StatusRange {
	if v.node == nil || v.node.Kind != yaml.SequenceNode {
		return r.status(v)
	}
	items := r.list(v)
	if len(items) == 0 {
		r.refuse(v, "write, for example, "+keyAt(v.path).assignment(), "the list is empty")
	}
	var all []health.StatusRange
	for _, item := range items {
		all = append(all, r.status(item)...)
	}
	return all
}

// status reads 200 or 200-399; nothing if it is not given.
func (r *reader) status(v value) []health.StatusRange {
	const lowest, highest = 100, 599 // RFC 9110 §15
	text, ok := r.text(v)
	if !ok {
		return nil
	}
	low, high, ranged := strings.Cut(text, "-")
	if !ranged {
		high = low
	}
	first, err := strconv.ParseUint(low, 10, 16)
	last, err2 := strconv.ParseUint(high, 10, 16)
	switch {
	case err != nil, err2 != nil:
		r.refuse(v, "write a status as in 200, or a range as in 200-399", "%s is not a status", quote(text))
	case first < lowest, last > highest:
		r.refuse(v, fmt.Sprintf("write statuses from %d to %d", lowest, highest), "%s is out of range", text)
	case first > last:
		r.refuse(v, fmt.Sprintf("write %d-%d", last, first), "%s ends before it begins", text)
	}
	return []health.StatusRange{{First: int(first), Last: int(last)}}
}

func (r *reader) body(v value) string {
	text, ok := r.text(v)
	if ok && text == "" {
		r.refuse(v, "write a text that must occur in the body, or leave body out", "an empty text occurs in every body")
	}
	return text
}

// site reads the name of a host, in which more characters than those of a name may stand.
func (r *reader) site(v value, more string) string {
	text, ok := r.text(v)
	strange := func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("._-"+more, c)
	}
	if ok && (text == "" || strings.ContainsFunc(text, strange)) {
		r.wrongKind(v)
	}
	return text
}

func (r *reader) tls(v value) (tls health.TLS, ca value) {
	m := r.mapping(v)
	ca = m.get("ca")
	tls = health.TLS{
		CA:         r.path(ca, ""),
		ServerName: r.site(m.get("server_name"), ""),
		Insecure:   r.boolean(m.get("insecure"), false),
	}
	if tls.Insecure && tls.CA != "" {
		r.refuse(ca, "leave out one of the two", "is without effect, because insecure accepts every certificate")
	}
	return tls, ca
}
