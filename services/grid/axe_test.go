package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// axe-core finds what a page lacks for those who don't see it or use no mouse. Its
// licence (MPL-2.0) isn't this repository's, so it is fetched and kept aside.
const (
	axeVersion = "4.14.1"
	axeSum     = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
)

// axe returns its script; the test is skipped where it can't be had.
func axe(t testing.TB) string {
	dir, err := filepath.Abs("../../.sidestream/cache")
	require.NoError(t, err)
	file := filepath.Join(dir, "axe-core-"+axeVersion+".tgz")
	if _, err := os.Stat(file); err != nil {
		npm, err := exec.LookPath("npm")
		if err != nil {
			t.Skip("npm, which fetches axe-core, is not installed")
		}
		require.NoError(t, os.MkdirAll(dir, 0o755))
		fetch := exec.CommandContext(t.Context(), npm, "pack", "--silent", "axe-core@"+axeVersion)
		fetch.Dir = t.TempDir()
		if out, err := fetch.CombinedOutput(); err != nil {
			t.Skipf("axe-core can't be fetched from npm's registry (%v): %s", err, out)
		}
		b, err := os.ReadFile(filepath.Join(fetch.Dir, "axe-core-"+axeVersion+".tgz"))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, b, 0o644))
	}
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	sum := sha512.Sum512(b)
	require.Equal(t, axeSum, base64.StdEncoding.EncodeToString(sum[:]), "%s is not what was published; remove it", file)
	return unpack(t, b, "package/axe.min.js")
}

// unpack returns a file of a .tgz.
func unpack(t testing.TB, archive []byte, name string) string {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			require.Fail(t, "no "+name+" in the archive")
		}
		require.NoError(t, err)
		if h.Name == name {
			b, err := io.ReadAll(r)
			require.NoError(t, err)
			return string(b)
		}
	}
}
