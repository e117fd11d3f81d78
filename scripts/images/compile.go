package main

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// target is a platform with the compiler for it.
type target struct {
	arch string // as Go names it
	cc   []string
	musl bool
}

func (t target) String() string { return "linux/" + t.arch }

// triplets are C's names of architectures.
var triplets = map[string]string{"amd64": "x86_64", "arm64": "aarch64"}

// choose finds the targets. Those that were asked for must be possible; without
// a wish, this machine's must be, and others are left out with a word.
func choose(platforms string) ([]target, error) {
	if platforms != "" {
		var out []target
		for p := range strings.SplitSeq(platforms, ",") {
			arch, ok := strings.CutPrefix(strings.TrimSpace(p), "linux/")
			if !ok || triplets[arch] == "" {
				return nil, fmt.Errorf("-platforms %q: give linux/amd64 or linux/arm64", p)
			}
			t, err := compiler(arch)
			if err != nil {
				return nil, err
			}
			out = append(out, t)
		}
		return out, nil
	}
	t, err := compiler(runtime.GOARCH)
	if err != nil {
		return nil, err
	}
	out := []target{t}
	for arch := range triplets {
		if arch == runtime.GOARCH {
			continue
		}
		t, err := compiler(arch)
		if err != nil {
			fmt.Printf("left out: %v\n", err)
			continue
		}
		out = append(out, t)
	}
	return out, nil
}

// compiler is a C compiler for the architecture: CC_<arch> of the environment, one
// for musl, one for glibc, or zig.
func compiler(arch string) (target, error) {
	triplet := triplets[arch]
	var candidates []target
	if cc := os.Getenv("CC_" + arch); cc != "" {
		candidates = append(candidates, target{cc: strings.Fields(cc), musl: strings.Contains(cc, "musl")})
	}
	if arch == runtime.GOARCH {
		candidates = append(candidates, target{cc: []string{"musl-gcc"}, musl: true})
	}
	candidates = append(candidates,
		target{cc: []string{triplet + "-linux-musl-gcc"}, musl: true},
		target{cc: []string{triplet + "-linux-gnu-gcc"}},
		target{cc: []string{"zig", "cc", "-target", triplet + "-linux-musl"}, musl: true})
	if arch == runtime.GOARCH {
		candidates = append(candidates, target{cc: []string{"gcc"}})
	}
	for _, t := range candidates {
		if _, err := exec.LookPath(t.cc[0]); err == nil {
			t.arch = arch
			return t, nil
		}
	}
	return target{}, fmt.Errorf("linux/%s: no C compiler for it: install musl-tools or zig, or set CC_%s", arch, arch)
}

// compile builds the program as one static file.
func (t target) compile(ctx context.Context, p program, file string) error {
	cgo, err := needsC(ctx, p.pkg)
	if err != nil {
		return err
	}
	flags := "-s -w -buildid="
	env := append(os.Environ(), "GOOS=linux", "GOARCH="+t.arch, "CGO_ENABLED=0")
	args := []string{"build", "-trimpath", "-o", file}
	if cgo {
		env = append(env, "CGO_ENABLED=1", "CC="+strings.Join(t.cc, " "))
		flags += ` -linkmode external -extldflags "-static"`
		if t.musl {
			args = append(args, "-tags", "musl")
		} else {
			args = append(args, "-tags", "netgo,osusergo")
		}
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-ldflags", flags, p.pkg)...)
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return static(file)
}

// needsC tells whether a package uses the Kafka client, the one dependency that
// there is no pure Go for.
func needsC(ctx context.Context, pkg string) (bool, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-deps", pkg).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return false, fmt.Errorf("go list %s: %s", pkg, exit.Stderr)
		}
		return false, err
	}
	return slices.Contains(strings.Fields(string(out)), "github.com/confluentinc/confluent-kafka-go/v2/kafka"), nil
}

// static makes sure that the program needs nothing that a scratch image hasn't.
func static(file string) error {
	f, err := elf.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return fmt.Errorf("%s is linked dynamically and would not start in an image without a C library", file)
		}
	}
	return nil
}
