// Command sidestream is the one command of the kit: it starts the embedded
// broker and engine, puts topics and SQL onto a system, and runs the whole on a
// developer's machine.
//
// One file a command; output.go has what they share. What a command does stands
// in the packages it calls: broker, engine, deploy, and internal/dev beside this
// one.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := root().ExecuteContext(ctx)
	if err == nil {
		return
	}
	var status exitStatus
	if errors.As(err, &status) {
		os.Exit(int(status))
	}
	fmt.Fprintln(os.Stderr, "sidestream: "+err.Error())
	os.Exit(1)
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sidestream",
		Short: "Event-driven services whose stream logic is plain SQL",
		Long: `Event-driven services whose stream logic is plain SQL, checked in beside the code.

Start here:  sidestream dev`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(
		devCommand(), serveCommand(), brokerCommand(), topicsCommand(), planCommand(), applyCommand(), loadCommand(),
		testCommand(), replayCommand(), fmtCommand(), lintCommand(), topologyCommand(), newCommand(), inboxCommand(), monitorCommand(), readyCommand(), configureCommand(), versionCommand(),
	)
	return cmd
}
