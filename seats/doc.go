// Package seats decides who may stay at a listener that anybody can reach and that has not room for all.
//
// It promises that who has no more than a fair share of the places keeps them, whatever others do; and that who comes
// is let in, so that a flood costs those their places who flood. It does not know what the connections are for.
//
// All functions may be called from any goroutine, and none blocks.
package seats
