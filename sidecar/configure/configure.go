// Package configure fills credentials into a properties file, so that they stand
// neither in the template, which anybody may read, nor in a command line.
//
// In: a template whose values have ${env:NAME} and ${file:/path} in them. Out: a
// Java properties file, readable by its owner and group alone.
//
//	sasl.jaas.config=… required username=${quoted:env:KAFKA_SASL_USERNAME} password=${quoted:file:/kafka/credentials/password};
//
// quoted: puts the text in double quotes, as a JAAS configuration wants it. What is
// put in is escaped for the properties file. An error names the placeholder and
// never what it stands for.
//
// Next: sidestream configure, in front of a ksqlDB server.
package configure

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var placeholder = regexp.MustCompile(`\$\{(quoted:)?(env|file):([^}]*)\}`)

// File fills the template and writes the result to path. The directory must exist.
func File(template, path string, getenv func(string) string) error {
	text, err := os.ReadFile(template)
	if err != nil {
		return err
	}
	filled, err := Fill(string(text), getenv)
	if err != nil {
		return fmt.Errorf("%s: %w", template, err)
	}
	// The reader is another user of the same group: the volume's.
	if err := os.WriteFile(path, []byte(filled), 0o440); err != nil {
		return fmt.Errorf("%s can't be written: %w", filepath.Clean(path), err)
	}
	return nil
}

// Fill replaces the placeholders of a properties file.
func Fill(template string, getenv func(string) string) (string, error) {
	var errs []error
	out := placeholder.ReplaceAllStringFunc(template, func(all string) string {
		m := placeholder.FindStringSubmatch(all)
		value, err := lookUp(m[2], m[3], getenv)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", all, err))
			return ""
		}
		if m[1] != "" {
			value = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		}
		return strings.ReplaceAll(value, `\`, `\\`) // a backslash escapes in a properties file
	})
	return out, errors.Join(errs...)
}

func lookUp(kind, name string, getenv func(string) string) (string, error) {
	value := ""
	switch kind {
	case "env":
		value = getenv(name)
	case "file":
		raw, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		value = strings.TrimRight(string(raw), "\r\n")
	}
	if value == "" {
		return "", errors.New("is empty")
	}
	if strings.ContainsAny(value, "\r\n") {
		return "", errors.New("has more than one line")
	}
	return value, nil
}
