package sqltest

import (
	"encoding/xml"
	"fmt"
	"io"
)

// JUnit writes results in the form that CI systems read: a suite a file, a case a
// test.
func JUnit(w io.Writer, results []Result) error {
	type failure struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
	type testCase struct {
		Name    string   `xml:"name,attr"`
		Class   string   `xml:"classname,attr"`
		File    string   `xml:"file,attr"`
		Line    int      `xml:"line,attr"`
		Time    string   `xml:"time,attr"`
		Failure *failure `xml:"failure,omitempty"`
	}
	type suite struct {
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testCase `xml:"testcase"`
	}
	var all struct {
		XMLName  xml.Name `xml:"testsuites"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Suites   []*suite `xml:"testsuite"`
	}
	var current *suite
	var total float64
	for _, r := range results {
		if current == nil || current.Name != r.Test.File {
			current, total = &suite{Name: r.Test.File}, 0
			all.Suites = append(all.Suites, current)
		}
		c := testCase{Name: r.Test.Name, Class: r.Test.File, File: r.Test.File, Line: r.Test.Line, Time: seconds(r.Elapsed.Seconds())}
		current.Tests++
		all.Tests++
		if !r.Passed() {
			c.Failure = &failure{Message: firstLine(r.Failure), Text: r.Failure}
			current.Failures++
			all.Failures++
		}
		total += r.Elapsed.Seconds()
		current.Time = seconds(total)
		current.Cases = append(current.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.4f", s) }

func firstLine(text string) string {
	for i := range text {
		if text[i] == '\n' {
			return text[:i]
		}
	}
	return text
}
