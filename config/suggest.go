package config

import (
	"fmt"
	"net/netip"
	"strings"
)

// unknownKeyHint says what the writer of an unknown key may have meant.
func unknownKeyHint(path, name string) string {
	if _, err := netip.ParseAddr(name + ":"); err == nil {
		return fmt.Sprintf("put an address that ends in a colon in quotes: %q", name+":")
	}
	if hint := keepalivedHint(name); hint != "" {
		return hint
	}
	if known, ok := nearest(name, namesIn(path)); ok {
		return fmt.Sprintf("did you mean %s?", known)
	}
	if homes := mappingsWith(name); len(homes) > 0 {
		for i, home := range homes {
			if home == "" {
				homes[i] = "the outermost level"
			}
		}
		return fmt.Sprintf("%s belongs in %s", name, strings.Join(homes, " or "))
	}
	return "the keys here are " + strings.Join(namesIn(path), ", ")
}

// keepalivedHint says what takes the place of a word from a file of keepalived; empty if it is none.
func keepalivedHint(name string) string {
	switch name {
	case "nopreempt":
		return "that is the default: take it out"
	case "virtual_router_id", "advert_int":
		return "there is none here; see detect"
	case "state":
		return "there is none here; the hosts agree on it"
	case "virtual_ipaddress":
		return "here they are called vip.addresses"
	case "track_script", "vrrp_script":
		return "here they are called checks"
	case "notify_master", "notify_backup", "notify_fault", "notify_stop":
		return "one script gets all states: hooks.notify"
	}
	return ""
}

// nearest finds the candidate that a word is most likely a misspelling of: at most
// one wrong letter in three.
func nearest(word string, candidates []string) (string, bool) {
	best, found := len(word)/3+1, ""
	for _, candidate := range candidates {
		if d := distance(strings.ToLower(word), candidate); d < best && d <= max(1, len(candidate)/3) {
			best, found = d, candidate
		}
	}
	return found, found != ""
}

// distance counts the letters to insert, delete or replace to turn a into b
// (Levenshtein); words too long to be a misspelling of each other are just far.
func distance(a, b string) int {
	if len(a) > 2*len(b)+2 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
