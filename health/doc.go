// Package health says whether this host can do its work.
package health
