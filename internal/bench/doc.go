// Command bench measures how long nobody answers for the floating address, and how long two do, when hosts and daemons
// fail: with vipd, with keepalived as it is installed, and with keepalived tuned. Each of them runs on three hosts of
// its own in network namespaces, with the same faults and the same prober. It also lets a crowd of clients read pages
// from Apache while the address is moved on purpose, and counts what became of their requests.
//
//	go run ./internal/bench            # as root; about 30 minutes
//	go run ./internal/bench -runs 5 -only crash,sigterm
//	go run ./internal/bench -only web -systems vipd,keepalived
package main
