package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func readyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ready URL…",
		Short: "Wait until addresses answer with success",
		Long: `Asks each URL until it answers with a status of 2xx, and says which don't. It is
for probes and scripts, in images that have nothing but this program.`,
		Example: "  sidestream ready http://127.0.0.1:8088/info http://127.0.0.1:8080/readyz --timeout 1m",
		Args:    cobra.MinimumNArgs(1),
	}
	limit := cmd.Flags().Duration("timeout", 10*time.Second, "how long to ask")
	cmd.RunE = func(cmd *cobra.Command, urls []string) error {
		ctx, cancel := context.WithTimeout(cmd.Context(), *limit)
		defer cancel()
		var errs []error
		for _, url := range urls {
			errs = append(errs, awaitURL(ctx, url))
		}
		return errors.Join(errs...)
	}
	return cmd
}

// awaitURL asks until the answer is 2xx; after the context's end the error is
// the last answer.
func awaitURL(ctx context.Context, url string) error {
	var last error
	for {
		err := askURL(ctx, url)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err
		}
		select {
		case <-ctx.Done():
			return last
		case <-time.After(250 * time.Millisecond):
		}
	}
}

func askURL(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 500))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%s: %s: %s", url, resp.Status, strings.TrimSpace(string(body)))
	}
	return nil
}
