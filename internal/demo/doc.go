// Command demo shows vipd at work on this machine: three hosts, a load balancer with direct server return and a client
// in network namespaces, the cluster formed with the commands that an operator types, a real Apache started by a notify
// script as written for keepalived, and then one trouble after another. It shows who answered for the floating address
// and when, as seen by probes each millisecond straight to each host. It exits with 0 only if everything moved as it
// should and two hosts never answered.
package main
