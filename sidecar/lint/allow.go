package lint

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/sidestream/sidestream/sidecar/engine/parser"
	"github.com/sidestream/sidestream/sidecar/project"
)

// directive is a --@lint: comment.
type directive struct {
	file   *project.File
	line   int
	column int
	length int
	codes  []string
	reason string
	// from and to are the lines of the statement that it is about; a whole file's
	// are all.
	from, to int
	used     map[string]bool
}

var (
	lintLine  = regexp.MustCompile(`^\s*(--@lint:\s*(.*?))\s*$`)
	allowText = regexp.MustCompile(`^(allow|allow-file)\s+(SL[0-9]{3}(?:\s*,\s*SL[0-9]{3})*)(?:[\s:,]+(.*))?$`)
)

// allow divides what was found into that which a comment allows and the rest, to
// which it adds comments that say nothing.
func allow(p *project.Project, s *project.Service, found []Finding, out *Result) {
	var all []*directive
	for _, f := range s.Files {
		ds, faults := directives(s, f)
		all = append(all, ds...)
		out.Findings = append(out.Findings, faults...)
	}
	for _, f := range found {
		d := allowing(all, f)
		if d == nil {
			out.Findings = append(out.Findings, f)
			continue
		}
		d.used[f.Code] = true
		f.Allowed = d.reason
		out.Allowed = append(out.Allowed, f)
	}
	for _, d := range all {
		for _, code := range d.codes {
			if !d.used[code] {
				out.Findings = append(out.Findings, d.fault(s, fmt.Sprintf("The comment allows %s, but there is nothing of it here.", code), "Take it out."))
			}
		}
	}
}

func allowing(all []*directive, f Finding) *directive {
	for _, d := range all {
		if d.file.Path != f.File || f.Line < d.from || f.Line > d.to {
			continue
		}
		for _, code := range d.codes {
			if code == f.Code {
				return d
			}
		}
	}
	return nil
}

// directives reads a file's comments for lint; those that can't be read are
// findings.
func directives(s *project.Service, f *project.File) (out []*directive, faults []Finding) {
	var ends []int // the last line of each statement
	if pieces, err := parser.Split(f.Text); err == nil {
		for _, piece := range pieces {
			if piece.Text != "" {
				end := min(piece.Pos.Offset+len(piece.Text), len(f.Text))
				ends = append(ends, 1+strings.Count(strings.TrimRight(f.Text[:end], " \t\r\n"), "\n"))
			}
		}
	}
	for i, text := range strings.Split(f.Text, "\n") {
		m := lintLine.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		d := &directive{file: f, line: i + 1, column: 1 + utf8.RuneCountInString(text[:strings.Index(text, "--@")]),
			length: utf8.RuneCountInString(m[1]), used: map[string]bool{}}
		parts := allowText.FindStringSubmatch(m[2])
		switch {
		case parts == nil:
			faults = append(faults, d.fault(s, "The comment can't be read.", "Write --@lint: allow SL002 reason."))
			continue
		case strings.TrimSpace(parts[3]) == "":
			faults = append(faults, d.fault(s, "The comment gives no reason.", "Say why it is right here: --@lint: allow "+parts[2]+" reason."))
			continue
		}
		d.reason = strings.TrimSpace(parts[3])
		bad := false
		for code := range strings.SplitSeq(parts[2], ",") {
			code = strings.TrimSpace(code)
			if _, ok := Find(code); !ok || code == "SL000" {
				faults = append(faults, d.fault(s, fmt.Sprintf("There is no rule %s that could be allowed.", code), "sidestream lint --explain lists them."))
				bad = true
				continue
			}
			d.codes = append(d.codes, code)
		}
		if bad {
			continue
		}
		d.from, d.to = 1, len(f.Text)
		if parts[1] == "allow" {
			d.from, d.to = statementAt(ends, d.line)
			if d.to == 0 {
				faults = append(faults, d.fault(s, "No statement follows the comment.", "Put it before the statement that it is about, or in it."))
				continue
			}
		}
		out = append(out, d)
	}
	return out, faults
}

// statementAt are the lines of the statement in or before which a line stands.
func statementAt(ends []int, line int) (from, to int) {
	from = 1
	for _, end := range ends {
		if line <= end {
			return from, end
		}
		from = end + 1
	}
	return 0, 0
}

func (d *directive) fault(s *project.Service, message, do string) Finding {
	r, _ := Find("SL000")
	return Finding{Code: r.Code, Severity: r.Severity, Service: s.Name, File: d.file.Path, Line: d.line, Column: d.column, Length: d.length,
		Message: message, Do: do, text: d.file.Text}
}
