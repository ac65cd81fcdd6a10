// Package hooks runs the operator's scripts. The notify script is called as keepalived calls it, so that an existing one works
// unchanged; the scripts that prepare a planned move and that fence an old holder are called in the same way.
//
// It promises that calls never overlap, whichever scripts they are of, that each is over when the script's own process has exited or at the timeout, whichever
// comes first, and that at the timeout the script's whole process group is killed. A service that the script leaves running
// keeps running: it is not waited for, and what it still writes to the script's output is read for as long as this process lives.
// (Afterwards it would get SIGPIPE, so a service should write to a log of its own, as httpd does.)
//
// If this process is killed, the kernel kills the script too (PR_SET_PDEATHSIG, prctl(2)): a script that outlived its vipd could
// start the service after the next vipd has stopped it. This reaches the script only, not what it has started.
//
// Which events there are, and which of them may be left out, is the caller's affair. A Runner may be used from any goroutine.
package hooks
