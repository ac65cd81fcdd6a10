// Command attack lets somebody without a certificate, on the same network segment, and somebody without rights, on the
// hosts themselves, do what they can to three running daemons, and looks whether these stay small, keep their leader and
// go on answering. It needs root; `make attack` runs it.
//
// One attack follows the other, each against the holder and a follower at the same time. The attacker is a process of its
// own, in a network namespace of its own. What the daemons make of it is seen from outside: their memory and
// descriptors in /proc, the probe as a load balancer asks it, `vipd status`, the length of their logs, and whether the
// floating address answers, once, each millisecond. The exit code is 0 if no bound was broken.
package main
