package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/vipd/vipd/control"
	"github.com/vipd/vipd/trust"
)

// tokenVariable is where a token may stand in the environment.
const tokenVariable = "VIPD_TOKEN"

func joinCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:     "join PEER",
		GroupID: groupCluster,
		Short:   "Make this host a member of a peer's cluster",
		Long: `Make this host a member of the cluster of PEER: the address of any member, and
its port if that is not 7600. It needs a token, which vipd token create prints on a
member: in the flag, on standard input or in the environment as VIPD_TOKEN. Who goes
on with a join that was broken off needs it no more.`,
		Example: "  vipd join 10.11.12.4 --token vipd1.…\n  ssh vm1 vipd token create | vipd join 10.11.12.4 --token -",
		Args:    peerArgument,
	}
	flag := c.Flags().String("token", "", "the `TOKEN`, or - to read it from standard input")
	c.RunE = o.asking(func(ctx context.Context, c *cobra.Command, daemon *control.Client, args []string) error {
		token, err := givenToken(c, *flag)
		if err != nil {
			return err
		}
		joined, err := daemon.Join(ctx, args[0], token)
		if err != nil {
			return err
		}
		return result(c, joinedText(joined))
	})
	return o.asks(c)
}

// peerArgument wants the address of a member, and refuses a token in its place before it
// gets into a log.
func peerArgument(c *cobra.Command, args []string) error {
	for _, arg := range args {
		if _, err := trust.ParseToken(arg); err == nil {
			return usage(c.CommandPath()+" 10.11.12.4 --token TOKEN", "a token is no address of a member")
		}
	}
	return oneArgument("the address of any member", "10.11.12.4 --token TOKEN")(c, args)
}

// givenToken returns the token that the flag means, or else that of the environment; ""
// if there is none.
func givenToken(c *cobra.Command, flag string) (string, error) {
	if flag != "-" {
		return strings.TrimSpace(cmp.Or(flag, os.Getenv(tokenVariable))), nil
	}
	const longest = 4 << 10 // bytes of the line
	line, err := bufio.NewReader(io.LimitReader(c.InOrStdin(), longest)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read the token from standard input: %w", err)
	}
	if line = strings.TrimSpace(line); line == "" {
		return "", usage("vipd token create, on a member, prints one", "there is no token on standard input")
	}
	return line, nil
}

func joinedText(j control.Joined) string {
	what := "joined"
	if j.Already {
		what = "already a member of"
	}
	leader := "no leader now"
	if j.Leader != "" {
		leader = "leader " + j.Leader
	}
	text := plain(fmt.Sprintf("%s cluster %s: members %s; %s", what, j.Cluster, strings.Join(j.Members, ", "), leader))
	if j.Waiting {
		text += "\nit gets its vote when a third host joins: with two that vote, the loss of either would stop the service"
	}
	return text
}

// hideToken starts this program anew, in this process, if a token stands among its
// arguments, and takes it into the environment. All users of the host can read the one
// as long as the process runs (proc_pid_cmdline(5)), and only its own the other.
func hideToken(args []string) error {
	rest, token := cutToken(args)
	if token == "" {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("keep the token out of the process list: %w", err)
	}
	if err := os.Setenv(tokenVariable, token); err != nil {
		return fmt.Errorf("keep the token out of the process list: %w", err)
	}
	return fmt.Errorf("keep the token out of the process list: start %s: %w", program, syscall.Exec(program, rest, os.Environ())) //nolint:gosec // it is this program
}

// cutToken takes the token out of the arguments of vipd join. It is "" if none stands there.
func cutToken(args []string) (rest []string, token string) {
	const flag = "--token"
	if !slices.Contains(args, "join") {
		return args, ""
	}
	for i := 0; i < len(args); i++ {
		value, joined := strings.CutPrefix(args[i], flag+"=")
		if args[i] == flag && i+1 < len(args) {
			i++
			value, joined = args[i], true
		}
		switch {
		case !joined:
			rest = append(rest, args[i])
		case value == "-":
			rest = append(rest, flag+"=-")
		default:
			token = value
		}
	}
	return rest, token
}
