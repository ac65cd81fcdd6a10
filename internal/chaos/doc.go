// Command chaos lets everything that can go wrong go wrong at the same time, by chance, and looks whether two hosts ever
// answer for the floating address. It needs root; `make chaos SEED=7 MINUTES=10` runs it.
//
// A run is a row of rounds: quiet, several faults at once for some seconds, all mended, back to one holder. The seed
// decides which faults, when and for how long, and whom they hit: a host, or whoever holds then. It writes a timeline as
// one HTML page, all that the page shows as JSON, and the logs of the daemons. The exit code is 0 if no two hosts
// answered and each round came back within half a minute.
package main
