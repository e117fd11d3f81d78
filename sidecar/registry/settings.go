package registry

import "strings"

// The levels of compatibility: which of a subject's schemas (the last one, or all
// of them) a new one must go together with. BACKWARD: those who read by the new one
// can read what was written by the old ones; FORWARD: the other way round.
const (
	None               = "NONE"
	Backward           = "BACKWARD"
	BackwardTransitive = "BACKWARD_TRANSITIVE"
	Forward            = "FORWARD"
	ForwardTransitive  = "FORWARD_TRANSITIVE"
	Full               = "FULL"
	FullTransitive     = "FULL_TRANSITIVE"
)

// The modes: IMPORT takes schemas with ids of their own.
const (
	ReadWrite        = "READWRITE"
	ReadOnly         = "READONLY"
	ReadOnlyOverride = "READONLY_OVERRIDE"
	Import           = "IMPORT"
)

// level is the level that holds for a subject.
func (m *Embedded) level(subject string) string {
	if l, ok := m.levels[subject]; ok {
		return l
	}
	return m.levels[""]
}

// mode is the mode that holds for a subject.
func (m *Embedded) mode(subject string) string {
	all := m.modes[""]
	if all == ReadOnlyOverride {
		return ReadOnly
	}
	if own, ok := m.modes[subject]; ok {
		return own
	}
	return all
}

// writable refuses changes that the mode doesn't allow.
func (m *Embedded) writable(subject string, withID bool) error {
	switch mode := m.mode(subject); {
	case mode == ReadOnly || mode == ReadOnlyOverride:
		return refuse(CodeNotPermitted, "Subject %s is in read-only mode", subject)
	case withID && mode != Import:
		return refuse(CodeNotPermitted, "Subject %s is not in import mode", subject)
	case !withID && mode == Import:
		return refuse(CodeNotPermitted, "Subject %s is in import mode: give the schema's id", subject)
	}
	return nil
}

// SetLevel sets the level of compatibility of a subject, or of all for "".
func (m *Embedded) SetLevel(subject, level string) error {
	level = strings.ToUpper(level)
	switch level {
	case None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive:
	default:
		return refuse(CodeBadLevel, "Invalid compatibility level. Valid values are none, backward, forward, full, backward_transitive, forward_transitive, and full_transitive")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.put(levelKey(subject), level)
}

// setMode sets the mode of a subject, or of all for "".
func (m *Embedded) setMode(subject, mode string, force bool) error {
	mode = strings.ToUpper(mode)
	switch mode {
	case ReadWrite, ReadOnly, ReadOnlyOverride, Import:
	default:
		return refuse(CodeBadMode, "Invalid mode. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, and IMPORT")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if mode == Import && !force && len(m.names(subject, false, false)) > 0 {
		return refuse(CodeNotPermitted, "Cannot import since found existing subjects")
	}
	return m.put(modeKey(subject), mode)
}

// unset takes a subject's setting back and gives what it was; noun and code are
// for the error where there is none.
func (m *Embedded) unset(k key, settings map[string]string, code int, noun string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := settings[k.Subject]
	if !ok {
		return "", refuse(code, "Subject '%s' does not have subject-level %s configured", k.Subject, noun)
	}
	return was, m.put(k, nil)
}

// setting is a subject's setting, or the one that holds for it with orGlobal.
func (m *Embedded) setting(subject string, settings map[string]string, orGlobal bool, code int, noun string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if v, ok := settings[subject]; ok {
		return v, nil
	}
	if orGlobal {
		return settings[""], nil
	}
	return "", refuse(code, "Subject '%s' does not have subject-level %s configured", subject, noun)
}
