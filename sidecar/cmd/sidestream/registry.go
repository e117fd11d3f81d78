package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sidestream/sidestream/sidecar/engine/serde"
	"github.com/sidestream/sidestream/sidecar/registry"
)

// The properties by which a registry is reached, and ksqlDB's variables of the
// environment for them.
const (
	registryURL     = "ksql.schema.registry.url"
	registryUser    = "ksql.schema.registry.basic.auth.user.info"
	registryURLEnv  = "KSQL_KSQL_SCHEMA_REGISTRY_URL"
	registryUserEnv = "KSQL_KSQL_SCHEMA_REGISTRY_BASIC_AUTH_USER_INFO"
)

// schemaRegistry is a client of the registry at urls, or of the one that the
// properties name; nil without either. It completes the properties.
func schemaRegistry(urls string, props map[string]string) (serde.SchemaRegistry, error) {
	if urls != "" && props[registryURL] == "" {
		props[registryURL] = urls
	}
	if user := os.Getenv(registryUserEnv); user != "" && props[registryUser] == "" {
		props[registryUser] = user
	}
	if props[registryURL] == "" {
		return nil, nil
	}
	return registry.NewClient(props[registryURL], props[registryUser])
}

// registryDir is the registry's folder in a broker's data.
const registryDir = "schema-registry"

// serveRegistry serves the schemas that a folder of the broker's data keeps, until
// the returned function is called.
func serveRegistry(addr, dataDir string, log *slog.Logger) (stop func() error, err error) {
	ln, err := listenOn(addr)
	if err != nil {
		return nil, err
	}
	r, err := registry.Open(filepath.Join(dataDir, registryDir))
	if err != nil {
		ln.Close()
		return nil, err
	}
	srv := &http.Server{Handler: r.Handler(log), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(ln) }()
	log.Info("registry: ready", "addr", ln.Addr().String())
	return func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		err := srv.Shutdown(ctx)
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return errors.Join(err, r.Close())
	}, nil
}
