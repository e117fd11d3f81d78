package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/project"
	"github.com/sidestream/sidestream/sidecar/topology"
)

func topologyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "topology [DIR]",
		Short: "Which query and which program reads and writes which topic",
		Long: `Shows which query and which program reads and writes which topic: from the SQL,
topics.yaml and services.yaml, without a server. DIR is the folder of the
services' folders (ksql), or one service's; then it shows that service and whom
it is joined to.`,
		Example: `  sidestream topology ksql
  sidestream topology ksql/fraud --detail query
  sidestream topology --output svg --to topology.svg`,
		Args: cobra.MaximumNArgs(1),
	}
	f := cmd.Flags()
	output := f.StringP("output", "o", "text", "text, mermaid, svg or json")
	detail := f.String("detail", "file", "what a box of SQL stands for: service, file or query")
	all := f.Bool("all", false, "show also topics that stay inside a box, and programs' changelogs")
	to := f.String("to", "", "file to write to; without it, standard output")
	define := f.StringArray("define", nil, "name=value of a variable; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dir := "ksql"
		if len(args) == 1 {
			dir = args[0]
		}
		d := topology.Detail(*detail)
		switch d {
		case topology.ByService, topology.ByFile, topology.ByQuery:
		default:
			return fmt.Errorf("--detail %q: give service, file or query", *detail)
		}
		vars, err := defines(*define)
		if err != nil {
			return err
		}
		p, err := project.Load(dir, vars)
		var fault *project.Fault
		if errors.As(err, &fault) {
			fmt.Fprint(cmd.ErrOrStderr(), fault.Text)
			return exitStatus(1)
		}
		if err != nil {
			return err
		}
		text, err := draw(topology.New(p, topology.Options{Detail: d, All: *all}), *output)
		if err != nil {
			return err
		}
		if *to != "" {
			return os.WriteFile(*to, []byte(text), 0o644)
		}
		_, err = io.WriteString(cmd.OutOrStdout(), text)
		return err
	}
	return cmd
}

func draw(g *topology.Graph, output string) (string, error) {
	switch output {
	case "text":
		return g.Text(), nil
	case "mermaid":
		return g.Mermaid(), nil
	case "svg":
		return g.SVG(), nil
	case "json":
		raw, err := json.MarshalIndent(g, "", "  ")
		return string(raw) + "\n", err
	}
	return "", fmt.Errorf("--output %q: give text, mermaid, svg or json", output)
}
