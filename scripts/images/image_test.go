package main

import (
	"archive/tar"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"
)

var made = time.Unix(1_700_000_000, 0).UTC()

// ours makes the image of a program that is at hand: this command.
func ours(t *testing.T) built {
	t.Helper()
	self := filepath.Join(t.TempDir(), "images")
	out, err := exec.Command("go", "build", "-o", self, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	b, err := assemble(program{name: "orders", pkg: "x", text: "A test."}, target{arch: runtime.GOARCH}, self, "1.2.3", made)
	require.NoError(t, err)
	return b
}

func TestImage(t *testing.T) {
	b := ours(t)
	file, err := b.image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "65532:65532", file.Config.User)
	require.Equal(t, []string{"/orders"}, file.Config.Entrypoint)
	require.Contains(t, file.Config.Env, "STATE_DIR=/state")
	require.Contains(t, file.Config.ExposedPorts, "8080/tcp")
	require.Equal(t, "1.2.3", file.Config.Labels["org.opencontainers.image.version"])
	require.Equal(t, runtime.GOARCH, file.Architecture)
	require.True(t, made.Equal(file.Created.Time))

	modes, owners := map[string]int64{}, map[string]int{}
	r := mutate.Extract(b.image)
	defer r.Close()
	var parts []byte
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		name := filepath.Clean(h.Name)
		modes[name], owners[name] = h.Mode, h.Uid
		if h.Name == "sbom.cdx.json" {
			parts, err = io.ReadAll(tr)
			require.NoError(t, err)
		}
	}
	require.Equal(t, int64(0o755), modes["orders"])
	require.Equal(t, nobody, owners["state"])
	require.Contains(t, modes, "etc/ssl/certs/ca-certificates.crt")
	require.Contains(t, string(certificates()), "BEGIN CERTIFICATE")

	// What is in it: CycloneDX, with the modules that Go wrote into the program.
	var bom struct {
		BOMFormat  string
		Components []struct{ Name, PURL string }
	}
	require.NoError(t, json.Unmarshal(parts, &bom))
	require.Equal(t, "CycloneDX", bom.BOMFormat)
	names := map[string]string{}
	for _, c := range bom.Components {
		names[c.Name] = c.PURL
	}
	require.Contains(t, names["github.com/google/go-containerregistry"], "pkg:golang/github.com/google/go-containerregistry@v")
	require.Contains(t, names, "std")
}

func TestTheSameAgain(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	require.NoError(t, archive(one, "orders", "sidestream/orders:1.2.3", []built{ours(t)}))
	require.NoError(t, archive(two, "orders", "sidestream/orders:1.2.3", []built{ours(t)}))
	for _, name := range []string{"orders-" + runtime.GOARCH + ".tar", "orders.oci.tar", "orders-" + runtime.GOARCH + ".cdx.json"} {
		a, err := os.ReadFile(filepath.Join(one, name))
		require.NoError(t, err)
		b, err := os.ReadFile(filepath.Join(two, name))
		require.NoError(t, err)
		require.True(t, string(a) == string(b), name)
	}
	left, err := filepath.Glob(filepath.Join(one, "*.oci"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestArchives(t *testing.T) {
	dir := t.TempDir()
	b := ours(t)
	other := b
	other.target.arch = "riscv64"
	require.NoError(t, archive(dir, "orders", "sidestream/orders:1.2.3", []built{b, other}))

	// Docker's.
	image, err := tarball.ImageFromPath(filepath.Join(dir, "orders-"+runtime.GOARCH+".tar"), nil)
	require.NoError(t, err)
	want, err := b.image.ConfigName()
	require.NoError(t, err)
	got, err := image.ConfigName()
	require.NoError(t, err)
	require.Equal(t, want, got)

	// OCI's: one name, an image for each platform.
	folder := t.TempDir()
	f, err := os.Open(filepath.Join(dir, "orders.oci.tar"))
	require.NoError(t, err)
	defer f.Close()
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		path := filepath.Join(folder, h.Name)
		if h.Typeflag == tar.TypeDir {
			require.NoError(t, os.MkdirAll(path, 0o755))
			continue
		}
		content, err := io.ReadAll(tr)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, content, 0o644))
	}
	index, err := layout.ImageIndexFromPath(folder)
	require.NoError(t, err)
	outer, err := index.IndexManifest()
	require.NoError(t, err)
	require.Equal(t, "index.docker.io/sidestream/orders:1.2.3", outer.Manifests[0].Annotations["io.containerd.image.name"])
	inner, err := index.ImageIndex(outer.Manifests[0].Digest)
	require.NoError(t, err)
	list, err := inner.IndexManifest()
	require.NoError(t, err)
	require.Equal(t, []string{runtime.GOARCH, "riscv64"}, platforms(list))
}

func platforms(m *v1.IndexManifest) []string {
	var out []string
	for _, d := range m.Manifests {
		out = append(out, d.Platform.Architecture)
	}
	return out
}

func TestTargets(t *testing.T) {
	_, err := choose("windows/amd64")
	require.ErrorContains(t, err, "give linux/amd64 or linux/arm64")
	t.Setenv("PATH", t.TempDir())
	_, err = choose("linux/arm64")
	require.ErrorContains(t, err, "no C compiler for it: install musl-tools or zig, or set CC_arm64")
	t.Setenv("CC_arm64", "/bin/sh -c aarch64-musl")
	got, err := choose("linux/arm64")
	require.NoError(t, err)
	require.Equal(t, []target{{arch: "arm64", cc: []string{"/bin/sh", "-c", "aarch64-musl"}, musl: true}}, got)

	_, err = wanted("nothing")
	require.ErrorContains(t, err, "run it in the repository's root")
	t.Chdir("../..")
	_, err = wanted("orders,nothing")
	require.EqualError(t, err, "-only orders,nothing: not all of these are images")
	programs, err := wanted("orders,sidestream")
	require.NoError(t, err)
	require.Len(t, programs, 2)
	version, err := appVersion("helm/sidestream/Chart.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, version)
}
