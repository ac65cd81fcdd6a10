// Package rules has no code; its test states which package may know what, and why.
package rules
