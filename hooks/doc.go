// Package hooks runs the operator's notify script.
package hooks
