// Package model has no code; its test runs model/run, which checks the Promela
// model of the lease protocol.
package model
