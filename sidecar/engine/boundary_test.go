package engine_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sidestream/sidestream/"

type listed struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Deps       []string
}

// packages lists the module's packages below a folder, with all they import.
func packages(t *testing.T, pattern string) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,Deps", pattern)
	cmd.Dir = filepath.Join("..", "..")
	out, err := cmd.Output()
	require.NoError(t, err)
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			require.NotEmpty(t, all)
			return all
		} else {
			require.NoError(t, err)
		}
		all = append(all, p)
	}
}

// Real ksqlDB is a drop-in only while the services know nothing of the engine
// but its REST API.
func TestServicesReachTheSidecarByRESTOnly(t *testing.T) {
	for _, p := range packages(t, "./services/...") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"sidecar/") && dep != module+"sidecar/client" {
				t.Errorf("%s imports %s; of the sidecar, services may import sidecar/client only", p.ImportPath, dep)
			}
		}
	}
}

func TestEngineImportsNoService(t *testing.T) {
	for _, p := range packages(t, "./sidecar/engine/...") {
		for _, dep := range p.Deps {
			if strings.HasPrefix(dep, module+"services/") {
				t.Errorf("%s imports %s; the engine knows no service", p.ImportPath, dep)
			}
		}
	}
}

// exec is deterministic because all it has of the world is handed to it.
func TestExecKnowsNoKafkaDiskOrClock(t *testing.T) {
	for _, p := range packages(t, "./sidecar/engine/exec") {
		for _, dep := range p.Deps {
			for _, banned := range []string{"github.com/twmb/", "github.com/confluentinc/", "github.com/cockroachdb/pebble", "net/http"} {
				if strings.HasPrefix(dep, banned) {
					t.Errorf("%s depends on %s", p.ImportPath, dep)
				}
			}
		}
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, 0)
			require.NoError(t, err)
			for _, imp := range file.Imports {
				switch path := strings.Trim(imp.Path.Value, `"`); path {
				case "os", "io/fs", "net", "math/rand", "math/rand/v2", "crypto/rand":
					t.Errorf("%s imports %s", name, path)
				}
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if id, ok := sel.X.(*ast.Ident); ok && id.Name == "time" && strings.Contains("Now Since Until Sleep After Tick NewTimer NewTicker", sel.Sel.Name) {
						t.Errorf("%s calls time.%s", name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
