package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// exitStatus is an error that has been shown already.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// defaultBrokers is where Kafka is when no flag says so.
func defaultBrokers() string { return env("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092") }

// env is an environment variable, or its default.
func env(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// list divides a list by commas.
func list(text string) []string {
	var out []string
	for _, s := range strings.Split(text, ",") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// outputFlag adds --output.
func outputFlag(cmd *cobra.Command) *string {
	return cmd.Flags().StringP("output", "o", "text", "text or json")
}

// show prints data as JSON, or as text by the function.
func show(w io.Writer, output string, data any, text func()) error {
	switch output {
	case "text":
		text()
		return nil
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(data)
	}
	return fmt.Errorf("--output %q: give text or json", output)
}

// logFlags adds --log-level and --log-format; the function it returns makes the
// logger, which becomes slog's default.
func logFlags(cmd *cobra.Command) func() (*slog.Logger, error) {
	level := cmd.Flags().String("log-level", env("LOG_LEVEL", "info"), "debug, info, warn or error (LOG_LEVEL)")
	format := cmd.Flags().String("log-format", env("LOG_FORMAT", "text"), "text or json (LOG_FORMAT)")
	return func() (*slog.Logger, error) {
		var l slog.Level
		if err := l.UnmarshalText([]byte(*level)); err != nil {
			return nil, fmt.Errorf("--log-level %q: give debug, info, warn or error", *level)
		}
		var h slog.Handler
		switch *format {
		case "text":
			h = slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})
		case "json":
			h = slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: l})
		default:
			return nil, fmt.Errorf("--log-format %q: give text or json", *format)
		}
		logger := slog.New(h)
		slog.SetDefault(logger)
		return logger, nil
	}
}

// defines reads --define name=value.
func defines(given []string) (map[string]string, error) {
	out := map[string]string{}
	for _, d := range given {
		name, value, ok := strings.Cut(d, "=")
		if !ok || name == "" {
			return nil, fmt.Errorf("--define %q: give name=value", d)
		}
		out[name] = value
	}
	return out, nil
}

func versionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "The version of this program",
		Example: "  sidestream version --output json",
		Args:    cobra.NoArgs,
	}
	output := outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		v := version()
		return show(cmd.OutOrStdout(), *output, v, func() {
			fmt.Fprintln(cmd.OutOrStdout(), strings.TrimSpace(v.Version+" "+v.Commit+" "+v.Go))
		})
	}
	return cmd
}

// build is what this program was built of.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

func version() build {
	v := build{Version: "unknown"}
	if info, ok := debug.ReadBuildInfo(); ok {
		v.Version, v.Go = info.Main.Version, info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}
