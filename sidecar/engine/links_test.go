package engine_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	fence    = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	code     = regexp.MustCompile("`[^`\n]*`")
	mdLink   = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	htmlLink = regexp.MustCompile(`(?:src|href|srcset)="([^"\s]+)"`)
	heading  = regexp.MustCompile(`(?m)^#{1,6} +(.+?) *$`)
	noSlug   = regexp.MustCompile(`[^\p{L}\p{N}\-_ ]`)
)

// Links between documents are checked as a reader's browser would follow them:
// the file is there, and so is the heading that a link points at.
func TestLinksInDocuments(t *testing.T) {
	root := filepath.Join("..", "..")
	var documents []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && slices.Contains([]string{".git", ".sidestream", "bin", "dist", "node_modules", "vendor"}, d.Name()) {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			documents = append(documents, path)
		}
		return nil
	}))
	require.Contains(t, documents, filepath.Join(root, "README.md"))

	links := 0
	for _, document := range documents {
		text := code.ReplaceAllString(withoutFences(t, document), "")
		for _, m := range append(mdLink.FindAllStringSubmatch(text, -1), htmlLink.FindAllStringSubmatch(text, -1)...) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			links++
			path := document
			if target != "" {
				path = filepath.Join(filepath.Dir(document), filepath.FromSlash(target))
			}
			if _, err := os.Stat(path); err != nil {
				t.Errorf("%s links to %s, which isn't there", document, m[1])
				continue
			}
			if anchor != "" && filepath.Ext(path) == ".md" && !slices.Contains(anchors(t, path), anchor) {
				t.Errorf("%s links to %s: %s has no such heading", document, m[1], path)
			}
		}
	}
	require.NotZero(t, links)
}

func withoutFences(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return fence.ReplaceAllString(string(b), "")
}

// anchors of a document's headings, as GitHub makes them.
func anchors(t *testing.T, path string) []string {
	t.Helper()
	var out []string
	for _, m := range heading.FindAllStringSubmatch(withoutFences(t, path), -1) {
		title := mdLink.ReplaceAllString(m[1], "")
		title = noSlug.ReplaceAllString(strings.ToLower(title), "")
		out = append(out, strings.ReplaceAll(title, " ", "-"))
	}
	return out
}
