package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sidestream/sidestream/sidecar/project"
)

// programReads holds the entries of services.yaml against topics and SQL.
func programReads(p *project.Project) []Finding {
	if p.Manifest == nil || p.Topics == nil {
		return nil
	}
	rule, _ := Find("SL020")
	var out []Finding
	for _, m := range p.Manifest.Services {
		i := slices.IndexFunc(p.Services, func(s *project.Service) bool { return s.Name == m.Name })
		all := !slices.ContainsFunc(p.Services, func(s *project.Service) bool { return !s.Asked })
		if !all && (i < 0 || !p.Services[i].Asked) {
			continue
		}
		add := func(format string, args ...any) {
			out = append(out, Finding{Code: rule.Code, Severity: rule.Severity, Service: m.Name, File: "services.yaml", Line: m.Line, Column: 3, Length: len(m.Name),
				Message: fmt.Sprintf(format, args...), Do: rule.Instead})
		}
		for _, topic := range m.Reads {
			t, ok := p.Topic(topic)
			switch {
			case !ok:
				add("The program of %s reads the topic %s, which is not in topics.yaml.", m.Name, topic)
			case t.Readers != nil && t.Owner != m.Name && !slices.Contains(t.Readers, m.Name):
				add("The topic %s doesn't name %s among its readers (topics.yaml:%d).", topic, m.Name, t.Line)
			}
		}
		for _, view := range m.Views {
			if i < 0 || p.Services[i].Source(strings.ToUpper(view)) == nil {
				add("The program of %s asks %s, which its SQL doesn't make.", m.Name, strings.ToUpper(view))
			}
		}
	}
	return out
}
