// Command images makes container images of the programs without Docker: one for
// each service with a program in Go, one for `sidestream`.
//
// In: the checkout, Go, a C compiler for the services (their Kafka client is C).
// Out, in dist/images:
//
//	orders-amd64.tar   docker load, kind load image-archive, ctr images import
//	orders.oci.tar     all platforms in one archive: crane push, skopeo copy
//	orders-amd64.cdx.json  what is in it (CycloneDX); in the image as /sbom.cdx.json
//
// An image is FROM scratch: one static program, certificates, a user without
// rights. The same checkout gives the same bytes.
//
//	main.go     flags, what is built
//	compile.go  a program for a platform; which C compiler
//	image.go    layers, configuration, archives
//	sbom.go     what a program is made of
//
// Run it by `make images`.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// program is what an image is made of.
type program struct {
	name string
	pkg  string // Go package
	text string // what it is, for the image's label
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	f := flag.NewFlagSet("images", flag.ContinueOnError)
	out := f.String("out", "dist/images", "where the archives go")
	prefix := f.String("prefix", "sidestream", "what goes before the names, as in sidestream/orders")
	version := f.String("version", "", "the tag (default: the chart's appVersion)")
	platforms := f.String("platforms", "", "as linux/amd64,linux/arm64 (default: this one, and the other where a C compiler for it is there)")
	only := f.String("only", "", "names of images, divided by commas (default: all)")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	tag := *version
	if tag == "" {
		var err error
		if tag, err = appVersion("helm/sidestream/Chart.yaml"); err != nil {
			return err
		}
	}
	programs, err := wanted(*only)
	if err != nil {
		return err
	}
	targets, err := choose(*platforms)
	if err != nil {
		return err
	}
	made, err := commitTime(ctx)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(*out, 0o755); err != nil {
		return err
	}
	for _, p := range programs {
		began := time.Now()
		var all []built
		for _, t := range targets {
			binary := filepath.Join(*out, "bin", t.arch, p.name)
			if err := t.compile(ctx, p, binary); err != nil {
				return fmt.Errorf("%s for %s: %w", p.name, t, err)
			}
			b, err := assemble(p, t, binary, tag, made)
			if err != nil {
				return fmt.Errorf("%s for %s: %w", p.name, t, err)
			}
			all = append(all, b)
		}
		ref := *prefix + "/" + p.name + ":" + tag
		if err := archive(*out, p.name, ref, all); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		for _, b := range all {
			fmt.Printf("%-32s %-12s %6.1f MB  %v\n", ref, b.target, float64(b.size)/1e6, time.Since(began).Round(100*time.Millisecond))
		}
	}
	return nil
}

// wanted are the command and the services' programs in Go.
func wanted(only string) ([]program, error) {
	all := []program{{"sidestream", "./sidecar/cmd/sidestream", "Embedded engine and broker, applier and monitor of Sidestream"}}
	mains, err := filepath.Glob("services/*/main.go")
	if err != nil {
		return nil, err
	}
	if len(mains) == 0 {
		return nil, errors.New("no services/*/main.go: run it in the repository's root")
	}
	for _, m := range mains {
		name := filepath.Base(filepath.Dir(m))
		all = append(all, program{name, "./services/" + name, "The program of Sidestream's service " + name})
	}
	if only == "" {
		return all, nil
	}
	names := strings.Split(only, ",")
	var out []program
	for _, p := range all {
		if slices.Contains(names, p.name) {
			out = append(out, p)
		}
	}
	if len(out) != len(names) {
		return nil, fmt.Errorf("-only %s: not all of these are images", only)
	}
	return out, nil
}

// appVersion is that of a Chart.yaml.
func appVersion(chart string) (string, error) {
	text, err := os.ReadFile(chart)
	if err != nil {
		return "", fmt.Errorf("%w; run it in the repository's root, or give -version", err)
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "appVersion:"); ok {
			return strings.Trim(strings.TrimSpace(v), `"`), nil
		}
	}
	return "", fmt.Errorf("%s has no appVersion; give -version", chart)
}

// commitTime dates the images, so that a checkout always gives the same; SOURCE_DATE_EPOCH
// goes before it.
func commitTime(ctx context.Context) (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		out, err := exec.CommandContext(ctx, "git", "log", "-1", "--format=%ct").Output()
		if err != nil {
			return time.Time{}, fmt.Errorf("the commit's time (git log): %w; set SOURCE_DATE_EPOCH outside of a checkout", err)
		}
		text = strings.TrimSpace(string(out))
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: give seconds since 1970", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}
