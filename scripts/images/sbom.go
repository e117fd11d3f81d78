package main

import (
	"bytes"
	"debug/buildinfo"
	"fmt"
	"runtime/debug"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbom says what a program is made of, from what Go wrote into it: CycloneDX as
// JSON.
func sbom(p program, binary, version string, made time.Time) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	b := cdx.NewBOM()
	b.Metadata = &cdx.Metadata{
		Timestamp: made.Format(time.RFC3339),
		Component: &cdx.Component{Type: cdx.ComponentTypeContainer, Name: p.name, Version: version, Description: p.text},
	}
	parts := []cdx.Component{
		{Type: cdx.ComponentTypeApplication, Name: info.Path, Version: version, PackageURL: "pkg:golang/" + info.Main.Path + "@" + version},
		{Type: cdx.ComponentTypeLibrary, Name: "std", Version: info.GoVersion, PackageURL: "pkg:golang/std@" + info.GoVersion[len("go"):]},
	}
	for _, m := range info.Deps {
		parts = append(parts, module(m))
		if m.Path == "github.com/confluentinc/confluent-kafka-go/v2" { // it brings the C library along, of the same version
			parts = append(parts, cdx.Component{Type: cdx.ComponentTypeLibrary, Name: "librdkafka", Version: m.Version,
				PackageURL: "pkg:github/confluentinc/librdkafka@" + m.Version})
		}
	}
	b.Components = &parts
	var out bytes.Buffer
	e := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON)
	e.SetPretty(true)
	if err := e.EncodeVersion(b, cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("SBOM: %w", err)
	}
	return out.Bytes(), nil
}

func module(m *debug.Module) cdx.Component {
	if m.Replace != nil {
		m = m.Replace
	}
	return cdx.Component{Type: cdx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: "pkg:golang/" + m.Path + "@" + m.Version}
}
