package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// nobody is the user of every image.
const nobody = 65532

// built is the image of a program for a target.
type built struct {
	target target
	image  v1.Image
	sbom   []byte
	size   int64 // compressed
}

// entry is a file or, without content and with a slash at its end, a directory.
type entry struct {
	path    string
	mode    int64
	owner   int
	content []byte
}

// assemble makes the image: what every program needs, and the program.
func assemble(p program, t target, binary, version string, made time.Time) (built, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return built{}, err
	}
	parts, err := sbom(p, binary, version, made)
	if err != nil {
		return built{}, err
	}
	base := []entry{
		{"etc/", 0o755, 0, nil},
		{"etc/passwd", 0o644, 0, []byte("root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n")},
		{"etc/group", 0o644, 0, []byte("root:x:0:\nnonroot:x:65532:\n")},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, certificates()},
		{"state/", 0o770, nobody, nil},
		{"tmp/", 0o1777, 0, nil},
	}
	var image v1.Image = empty.Image
	for _, files := range [][]entry{base, {{p.name, 0o755, 0, content}, {"sbom.cdx.json", 0o644, 0, parts}}} {
		raw, err := pack(files, made)
		if err != nil {
			return built{}, err
		}
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(raw)), nil },
			tarball.WithMediaType(types.OCILayer))
		if err != nil {
			return built{}, err
		}
		if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: made}, CreatedBy: "scripts/images"}}); err != nil {
			return built{}, err
		}
	}
	image = mutate.MediaType(image, types.OCIManifestSchema1)
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	config := v1.Config{
		User:       "65532:65532",
		Entrypoint: []string{"/" + p.name},
		WorkingDir: "/",
		Env:        []string{"PATH=/", "STATE_DIR=/state", "LOG_FORMAT=json", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"},
		Volumes:    map[string]struct{}{"/state": {}},
		Labels: map[string]string{
			"org.opencontainers.image.title":       p.name,
			"org.opencontainers.image.description": p.text,
			"org.opencontainers.image.version":     version,
			"org.opencontainers.image.source":      "https://github.com/sidestream/sidestream",
			"org.opencontainers.image.licenses":    "Apache-2.0",
		},
	}
	if p.name != "sidestream" {
		config.Env = append(config.Env, "HTTP_ADDR=:8080")
		config.ExposedPorts = map[string]struct{}{"8080/tcp": {}}
	}
	file, err := image.ConfigFile()
	if err != nil {
		return built{}, err
	}
	file = file.DeepCopy()
	file.Config, file.Created, file.OS, file.Architecture = config, v1.Time{Time: made}, "linux", t.arch
	if image, err = mutate.ConfigFile(image, file); err != nil {
		return built{}, err
	}
	layers, err := image.Layers()
	if err != nil {
		return built{}, err
	}
	b := built{target: t, image: image, sbom: parts}
	for _, l := range layers {
		n, err := l.Size()
		if err != nil {
			return built{}, err
		}
		b.size += n
	}
	return b, nil
}

// certificates are Mozilla's authorities, as the Go project publishes them: the
// same on every machine that builds.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
	}
	return out.Bytes()
}

func pack(files []entry, made time.Time) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, f := range files {
		h := &tar.Header{Name: f.path, Mode: f.mode, Uid: f.owner, Gid: f.owner, Size: int64(len(f.content)), ModTime: made, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if strings.HasSuffix(f.path, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// archive writes the archives of a program's images.
func archive(dir, program, ref string, all []built) error {
	tag, err := name.NewTag(ref)
	if err != nil {
		return err
	}
	var index v1.ImageIndex = empty.Index
	for _, b := range all {
		base := filepath.Join(dir, program+"-"+b.target.arch)
		if err := os.WriteFile(base+".cdx.json", b.sbom, 0o644); err != nil {
			return err
		}
		if err := tarball.WriteToFile(base+".tar", tag, b.image); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: b.image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: b.target.arch}}})
	}
	// The outer index names the image; the inner one holds its platforms.
	outer := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{Annotations: map[string]string{
		"org.opencontainers.image.ref.name": tag.TagStr(),
		"io.containerd.image.name":          tag.Name(),
	}}})
	folder, err := os.MkdirTemp(dir, program+"-*.oci")
	if err != nil {
		return err
	}
	_, err = layout.Write(folder, outer)
	if err == nil {
		err = packFolder(folder, filepath.Join(dir, program+".oci.tar"))
	}
	return errors.Join(err, os.RemoveAll(folder))
}

// packFolder writes a folder's files as a tar, in the order of their names.
func packFolder(folder, file string) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	w := tar.NewWriter(out)
	err = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == folder {
			return err
		}
		rel, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Name: rel + "/", Mode: 0o755, Typeflag: tar.TypeDir})
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: rel, Mode: 0o644, Size: int64(len(content)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err = w.Write(content)
		return err
	})
	return errors.Join(err, w.Close(), out.Close())
}
