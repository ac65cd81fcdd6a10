// Command vipd is the daemon that holds a floating address, and the commands by
// which people ask it. Everything that decides is in the packages that it puts
// together; here are flags, words and exit codes.
package main
