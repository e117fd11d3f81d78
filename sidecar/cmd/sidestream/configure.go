package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/sidestream/sidestream/sidecar/configure"
)

func configureCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "configure TEMPLATE FILE",
		Short: "Fill credentials into a properties file",
		Long: `Fills ${env:NAME} and ${file:/path} into a properties file, so that secrets stand
neither in the template nor in a command line. ${quoted:file:/path} puts the text
in double quotes, as a JAAS configuration wants it.`,
		Example: "  sidestream configure ksql-server.properties.template /run/ksqldb/ksql-server.properties",
		Args:    cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			return configure.File(args[0], args[1], os.Getenv)
		},
	}
}
