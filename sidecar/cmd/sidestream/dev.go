package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/dev"
	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/shop"
	"github.com/sidestream/sidestream/sidecar/deploy"
	"github.com/sidestream/sidestream/sidecar/manifest"
)

func devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Everything on this machine, with a live table",
		Long: `Runs everything on this machine: the broker, a sidecar for each service with SQL,
and the services' programs, each a process of its own. Makes the topics, applies
the SQL, starts again what dies, and applies a .sql file as you save it. When an
edit can't be applied, its mistakes are shown and the old queries go on. Ctrl-C
stops all of it. Data stays in --dir until --fresh.

With --demo it loads a shop, places orders of every kind, says how each kind
ended and why, and checks the books on the topics and the mails in the inbox; then the system is yours
until Ctrl-C. DEMO_EXIT=1 ends it there, with 0 when all is as it should be. The
demo has a directory of its own, .sidestream/demo, and begins afresh each time,
unless --dir is given.`,
		Example: "  sidestream dev\n  DEMO_EXIT=1 sidestream dev --demo",
		Args:    cobra.NoArgs,
	}
	f := cmd.Flags()
	services := f.String("services", "services/services.yaml", "what to run")
	overlays := f.StringArray("overlay", nil, "a file that changes services of --services; may be repeated")
	dir := f.String("dir", ".sidestream", "where data, state and logs are kept")
	fresh := f.Bool("fresh", false, "forget what --dir holds")
	bin := f.String("bin", "", "folder of the services' Go programs; without it they are built")
	define := f.StringArray("define", nil, "name=value of a variable of the SQL; may be repeated")
	demo := f.Bool("demo", false, "load a shop, place orders, check the books")
	orders := f.Int("orders", 300, "orders that the demo places")
	seed := f.Uint64("seed", 1, "the demo's orders: the same seed makes the same ones")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := manifest.Load(*services, *overlays...)
		if err != nil {
			return err
		}
		if *orders < 1 {
			return fmt.Errorf("--orders %d: give 1 or more", *orders)
		}
		if *demo && !cmd.Flags().Changed("dir") {
			*dir, *fresh = filepath.Join(*dir, "demo"), true
		}
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		self, err := os.Executable()
		if err != nil {
			return err
		}
		screen := dev.NewScreen(cmd.OutOrStdout())
		sys, err := dev.New(cmd.Context(), cfg, dev.Options{Dir: *dir, Fresh: *fresh, Bin: *bin, Self: self, Variables: vars, Screen: screen})
		if err != nil {
			return shown(cmd, err)
		}
		err = runDev(cmd.Context(), sys, screen, func(ctx context.Context) error {
			if !*demo {
				screen.Say("try: curl -i %s/v1/orders -H 'content-type: application/json' -d '{\"customerId\": 1, \"product\": \"JUMPERS\", \"quantity\": 1, \"price\": 24.99}'", cfg.URL("orders"))
				return nil
			}
			mail := shop.Mail{Program: cfg.URL("email"), Inbox: cfg.URL("inbox"), Pay: cfg.URL("email") != "" && cfg.URL("payments") == ""}
			err := shop.Run(ctx, shop.Options{API: cfg.URL("orders"), Broker: cfg.Broker, Seed: *seed, Orders: *orders, Mail: mail,
				Flows: cfg.URL("payments") != "" && cfg.URL("shipping") != "", Say: screen.Say})
			if grid := cfg.URL("grid"); grid != "" {
				screen.Say("watch the orders: %s", grid)
			}
			screen.Say("%s", sys.Figures())
			return err
		})
		return shown(cmd, err)
	}
	return cmd
}

// errDemoDone ends a demo that was told to end by itself.
var errDemoDone = errors.New("the demo is done")

// runDev starts the system, lets work use it, and keeps it up until ctx ends.
func runDev(ctx context.Context, sys *dev.System, screen *dev.Screen, work func(context.Context) error) error {
	defer func() {
		screen.Table(nil)
		screen.Say("stopping")
		sys.Stop()
	}()
	if err := sys.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C
		}
		return err
	}
	running, end := context.WithCancelCause(ctx)
	defer end(nil)
	ran := make(chan error, 1)
	go func() { ran <- sys.Run(running) }()
	failed := work(running)
	exit := os.Getenv("DEMO_EXIT") == "1"
	switch {
	case ctx.Err() != nil && exit:
		failed = exitStatus(130) // interrupted before it was done
	case ctx.Err() != nil:
		failed = nil
	case exit:
		end(errDemoDone)
	case failed != nil:
		screen.Say("%s", failed)
		failed = exitStatus(1) // when it ends; until then it is there to look at
		fallthrough
	default:
		screen.Say("everything stays up until Ctrl-C")
	}
	if err := <-ran; failed == nil {
		failed = err
	}
	var fault *deploy.Fault
	if errors.As(failed, &fault) {
		return fault
	}
	return failed
}
