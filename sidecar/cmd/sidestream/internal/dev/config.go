package dev

import (
	"fmt"
	"net"
	"strings"

	"github.com/sidestream/sidestream/sidecar/manifest"
)

// checkPorts tries every address of services.yaml and names all that are taken.
func checkPorts(m *manifest.Manifest) error {
	var taken []string
	try := func(addr, what string) {
		ln, err := net.Listen("tcp", addr)
		if err != nil {
			taken = append(taken, fmt.Sprintf("%s (%s)", addr, what))
			return
		}
		ln.Close()
	}
	try(m.Broker, "broker")
	if m.Registry != "" {
		try(m.Registry, "registry")
	}
	for _, s := range m.Services {
		if s.Sidecar != "" {
			try(s.Sidecar, s.Name+" sidecar")
		}
		if s.HTTP != "" {
			try(s.HTTP, s.Name)
		}
	}
	if taken == nil {
		return nil
	}
	return fmt.Errorf("can't listen on %s: stop what runs there (another `sidestream dev`?) or change services.yaml", strings.Join(taken, ", "))
}
