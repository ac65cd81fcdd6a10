// Command bench measures how long nobody answers for the floating address, and how long two do, when hosts and daemons
// fail: with vipd, with keepalived as it is installed, and with keepalived tuned. Each of them runs on three hosts of
// its own in network namespaces, with the same faults and the same prober.
//
//	go run ./internal/bench            # as root; about 25 minutes
//	go run ./internal/bench -runs 5 -only crash,sigterm
package main
