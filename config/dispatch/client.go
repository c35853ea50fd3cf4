package dispatch

import (
	"context"
	"crypto/tls"
	"fmt"
	"strings"

	"copse/config"
	"copse/config/cli"
	"copse/httpfront/client"
	"copse/httpfront/client/commands"
)

// runClient carries out a command that speaks to running servers.
func runClient(ctx context.Context, line *cli.Command, s commands.Streams) int {
	security, err := clientTLS(&line.Global)
	if err != nil {
		fmt.Fprintln(s.Err, err)
		return config.ExitFailed
	}
	return commands.Run(ctx, line, security, s)
}

// clientTLS returns nil unless there is an https URL or a file.
func clientTLS(g *cli.Global) (*tls.Config, error) {
	if !strings.Contains(g.Endpoints, "https://") && g.CertFile == "" && g.CAFile == "" {
		return nil, nil
	}
	return client.Files{Cert: g.CertFile, Key: g.KeyFile, CA: g.CAFile}.TLS()
}
