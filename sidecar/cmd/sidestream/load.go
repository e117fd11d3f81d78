package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"github.com/sidestream/sidestream/sidecar/cmd/sidestream/internal/feed"
)

func loadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "load {orders|customers|products|stock|payments} FILE",
		Short: "Load your own orders, customers, products, stock or payments",
		Long: `Loads rows from a CSV file with a header line, or a file of JSON objects, one a
line ("-" reads standard input). Orders go through the orders API, the others
onto their topics. A row that can't be taken is named with its line, and the
command then ends with status 1; the other rows are loaded.

Columns:
  orders     customerId, product, quantity, price; id (with one, loading again
             doesn't order again)
  customers  id; firstName, lastName, email, address, level
  products   product, listPrice
  stock      product, stock (absolute)
  payments   id, orderId, amount; ccy`,
		Example: `  sidestream load stock stock.csv
  sidestream load orders orders.jsonl --concurrency 32`,
		Args:      cobra.ExactArgs(2),
		ValidArgs: []string{"orders", "customers", "products", "stock", "payments"},
	}
	f := cmd.Flags()
	api := f.String("api", "http://127.0.0.1:8080", "the orders API")
	brokers := f.String("bootstrap", defaultBrokers(), "Kafka's addresses, divided by commas (KAFKA_BOOTSTRAP_SERVERS)")
	concurrency := f.Int("concurrency", 16, "orders that are posted at a time")
	limit := f.Duration("timeout", 30*time.Second, "how long an order is tried again while the service is away")
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		kind := feed.Kind(args[0])
		switch kind {
		case feed.Orders, feed.Customers, feed.Products, feed.Stock, feed.Payments:
		default:
			return fmt.Errorf("there is nothing called %q to load: give orders, customers, products, stock or payments", args[0])
		}
		if *concurrency < 1 {
			return fmt.Errorf("--concurrency %d: give 1 or more", *concurrency)
		}
		in, size := io.ReadCloser(os.Stdin), int64(-1)
		if args[1] != "-" {
			file, err := os.Open(args[1])
			if err != nil {
				return err
			}
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				size = info.Size()
			}
			in = file
		}
		defer in.Close()
		l := &loader{cmd: cmd, kind: kind, bar: newBar(cmd.ErrOrStderr(), "loading "+args[0], size)}
		var err error
		if kind == feed.Orders {
			err = l.orders(cmd.Context(), in, *api, *concurrency, *limit)
		} else {
			err = l.topic(cmd.Context(), in, list(*brokers))
		}
		_ = l.bar.Finish()
		if err != nil {
			return fmt.Errorf("%s: %w", args[1], err)
		}
		result := struct {
			Loaded int             `json:"loaded"`
			Failed []feed.RowError `json:"failed"`
		}{l.loaded, append([]feed.RowError{}, l.failed...)}
		if err := show(cmd.OutOrStdout(), *output, result, func() {
			fmt.Fprintf(cmd.OutOrStdout(), "%d %s loaded, %d failed\n", l.loaded, args[0], len(l.failed))
		}); err != nil {
			return err
		}
		if len(l.failed) > 0 {
			return exitStatus(1)
		}
		return nil
	}
	return cmd
}

type loader struct {
	cmd  *cobra.Command
	kind feed.Kind
	bar  *progressbar.ProgressBar

	mu     sync.Mutex
	loaded int
	failed []feed.RowError
}

func (l *loader) bad(e feed.RowError) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed = append(l.failed, e)
	_ = l.bar.Clear()
	fmt.Fprintln(l.cmd.ErrOrStderr(), e.Error())
}

func (l *loader) good() {
	l.mu.Lock()
	l.loaded++
	l.mu.Unlock()
}

func (l *loader) orders(ctx context.Context, in io.Reader, base string, concurrency int, limit time.Duration) error {
	api, err := feed.NewAPI(base, concurrency)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(concurrency)
	err = feed.Read(io.TeeReader(in, l.bar), l.kind, func(row feed.Row) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		g.Go(func() error {
			bounded, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			_, err := api.Post(bounded, row.JSON(l.kind))
			switch {
			case err == nil:
				l.good()
			case feed.IsRefused(err):
				l.bad(feed.RowError{Line: row.Line, Text: err.Error()})
			default:
				return fmt.Errorf("line %d: the orders API at %s: %w", row.Line, base, err)
			}
			return nil
		})
		return nil
	}, l.bad)
	if gerr := g.Wait(); gerr != nil {
		return gerr
	}
	return err
}

func (l *loader) topic(ctx context.Context, in io.Reader, brokers []string) error {
	failed := 0
	t, err := feed.OpenTopic(ctx, brokers, l.kind, func(e feed.RowError) { failed++; l.bad(e) })
	if err != nil {
		return err
	}
	rows := 0
	err = feed.Read(io.TeeReader(in, l.bar), l.kind, func(row feed.Row) error {
		rows++
		t.Put(ctx, row, func() {})
		return ctx.Err()
	}, l.bad)
	if cerr := t.Close(ctx); err == nil {
		err = cerr
	}
	l.loaded = rows - failed
	return err
}

// newBar shows how far a file has been read, where somebody looks at it.
func newBar(w io.Writer, what string, size int64) *progressbar.ProgressBar {
	file, ok := w.(*os.File)
	visible := ok && term.IsTerminal(int(file.Fd()))
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
		progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetVisibility(visible))
}
