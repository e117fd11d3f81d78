package scaffold

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// entries are the lists with the service's entry at their end. The chart's is
// left out where there is no chart.
func (s *Service) entries(root string) ([]file, error) {
	var out []file
	for _, l := range []struct{ path, key, entry string }{
		{topicsList, "topics", topicsEntry},
		{servicesList, "services", servicesEntry[s.Lang]},
		{valuesList, "services", valuesEntry},
	} {
		raw, err := os.ReadFile(filepath.Join(root, l.path))
		if errors.Is(err, fs.ErrNotExist) && l.path == valuesList {
			continue
		}
		if err != nil {
			return nil, err
		}
		entry, err := s.fill(l.path, l.entry)
		if err != nil {
			return nil, err
		}
		text, err := under(string(raw), l.key, string(entry))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", l.path, err)
		}
		out = append(out, file{l.path, []byte(text)})
	}
	return out, nil
}

// under puts lines behind the last ones of a mapping at the top level of a YAML
// text. Everything else, comments and layout, stays as it is.
func under(text, key, lines string) (string, error) {
	all := strings.SplitAfter(text, "\n")
	begin := -1
	for i, line := range all {
		if strings.TrimSpace(strings.SplitN(line, "#", 2)[0]) == key+":" && !strings.HasPrefix(line, " ") {
			begin = i
			break
		}
	}
	if begin < 0 {
		return "", fmt.Errorf("there is no mapping `%s:` whose members stand on lines of their own", key)
	}
	end := begin + 1 // behind the last line of the mapping
	for i := begin + 1; i < len(all); i++ {
		line := all[i]
		if strings.TrimSpace(line) == "" {
			continue
		}
		if !strings.HasPrefix(line, " ") {
			if strings.HasPrefix(line, "#") {
				continue // a comment: of the mapping if more of it follows
			}
			break
		}
		end = i + 1
	}
	head := strings.Join(all[:end], "")
	if !strings.HasSuffix(head, "\n") {
		head += "\n"
	}
	return head + lines + strings.Join(all[end:], ""), nil
}

const topicsEntry = `
  # --- @{.Name}@ ---
  @{.Name}@-orders:
    owner: @{.Name}@-sql
    key: order id STRING
    value: CUSTOMERID, PRODUCT, QUANTITY, PRICE
    cleanup: delete
  @{.Name}@-notes:
    owner: @{.Name}@
    key: order id STRING
    value: orderId, text
    cleanup: delete
@{- if eq .Lang "go"}@
  @{.Name}@-state:
    owner: @{.Name}@
    key: state key
    value: changelog of the @{.Name}@ program
    cleanup: compact
    retention: forever
@{- end}@
`

var servicesEntry = map[string]string{
	"go": serviceHead + `    program: ./services/@{.Name}@
` + serviceTail,
	"node": serviceHead + `    program:
      dir: services/@{.Name}@
      setup: [npm, ci, --no-audit, --no-fund]
      command: [node, main.js]
` + serviceTail,
	"python": serviceHead + `    program:
      dir: services/@{.Name}@
      setup:
        - [python3, -m, venv, .venv]
        - [.venv/bin/pip, install, --quiet, --disable-pip-version-check, -r, requirements.txt]
      command: [.venv/bin/python, main.py]
` + serviceTail,
}

const serviceHead = `  @{.Name}@:
    sql: ksql/@{.Name}@
    sidecar: @{.Sidecar}@
`

const serviceTail = `    http: @{.HTTP}@
    reads: [@{.Name}@-orders]
`

const valuesEntry = `  # -- @{.Name}@: one note for each validated order
  @{.Name}@:
    program:
      image: {repository: sidestream/@{.Name}@}
`
