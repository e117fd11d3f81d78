// Package image holds the sidecar's container files; its test runs the images of
// all programs by Docker: they start, become ready and serve an order.
package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ory/dockertest/v3"
	"github.com/ory/dockertest/v3/docker"
	"github.com/stretchr/testify/require"
)

// lab is a network of containers.
type lab struct {
	t       *testing.T
	pool    *dockertest.Pool
	network *dockertest.Network
	version string
}

// start loads the archives of IMAGES_DIR.
func start(t *testing.T) *lab {
	t.Helper()
	dir := os.Getenv("IMAGES_DIR")
	if dir == "" {
		t.Skip("needs the images: make test-images")
	}
	pool, err := dockertest.NewPool("")
	if err == nil {
		err = pool.Client.Ping()
	}
	if err != nil {
		t.Skip("needs Docker: ", err)
	}
	pool.MaxWait = 2 * time.Minute
	info, err := pool.Client.Version()
	require.NoError(t, err)
	archives, err := filepath.Glob(filepath.Join(dir, "*-"+info.Get("Arch")+".tar"))
	require.NoError(t, err)
	require.NotEmpty(t, archives, "no archives for %s in %s", info.Get("Arch"), dir)
	for _, a := range archives {
		f, err := os.Open(a)
		require.NoError(t, err)
		require.NoError(t, pool.Client.LoadImage(docker.LoadImageOptions{InputStream: f, OutputStream: io.Discard}), a)
		f.Close()
	}
	network, err := pool.CreateNetwork(fmt.Sprintf("sidestream-%d", time.Now().UnixNano()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, network.Close()) })
	chart, err := os.ReadFile("../../helm/sidestream/Chart.yaml")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(chart), "appVersion: \"")
	version, _, _ := strings.Cut(rest, "\"")
	return &lab{t, pool, network, version}
}

// run starts a container as the chart does: a read-only root, no capability, no
// privilege to be gained, the image's own user.
func (l *lab) run(name, image string, mounts []string, env []string, args ...string) *dockertest.Resource {
	l.t.Helper()
	r, err := l.pool.RunWithOptions(&dockertest.RunOptions{
		Name: l.network.Network.Name + "-" + name, Hostname: name,
		Repository: "sidestream/" + image, Tag: l.version, Cmd: args, Env: env, Mounts: mounts,
		NetworkID: l.network.Network.ID,
	}, func(h *docker.HostConfig) {
		h.ReadonlyRootfs = true
		h.CapDrop = []string{"ALL"}
		h.SecurityOpt = []string{"no-new-privileges"}
		h.Tmpfs = map[string]string{"/state": "uid=65532,gid=65532,mode=0770", "/tmp": "mode=1777"}
	})
	require.NoError(l.t, err, name)
	l.t.Cleanup(func() {
		if l.t.Failed() {
			l.t.Log(name, l.logs(r))
		}
		require.NoError(l.t, l.pool.Purge(r))
	})
	return r
}

func (l *lab) logs(r *dockertest.Resource) string {
	var out strings.Builder
	err := l.pool.Client.Logs(docker.LogsOptions{Container: r.Container.ID, OutputStream: &out, ErrorStream: &out, Stdout: true, Stderr: true, Tail: "20"})
	if err != nil {
		return err.Error()
	}
	return out.String()
}

// once runs a container to its end, which must be good.
func (l *lab) once(name, image string, mounts []string, env []string, args ...string) {
	l.t.Helper()
	r := l.run(name, image, mounts, env, args...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	status, err := l.pool.Client.WaitContainerWithContext(r.Container.ID, ctx)
	require.NoError(l.t, err, name)
	require.Zero(l.t, status, "%s %v: %s", name, args, l.logs(r))
}

// address is a container's own, which this machine reaches.
func (l *lab) address(r *dockertest.Resource) string {
	l.t.Helper()
	return r.GetIPInNetwork(l.network)
}

func get(url string) (int, string, error) {
	resp, err := http.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}

func TestImages(t *testing.T) {
	l := start(t)
	sql, err := filepath.Abs("../../ksql")
	require.NoError(t, err)
	mounts := []string{sql + ":/ksql:ro"}
	kafka := []string{"KAFKA_BOOTSTRAP_SERVERS=kafka:9092", "START_TIMEOUT=60s"}

	l.run("kafka", "sidestream", nil, nil, "broker", "--listen=0.0.0.0:9092", "--advertise=kafka:9092", "--data-dir=/state/broker")
	l.once("topics", "sidestream", mounts, kafka, "topics", "apply", "--file=/ksql/topics.yaml", "--start-timeout=60s")
	for _, service := range []string{"orders", "fraud", "inventory"} {
		l.run(service+"-sql", "sidestream", nil, kafka, "serve", "--service-id="+service+"_", "--listen=0.0.0.0:8088", "--state-dir=/state/sidecar")
		l.once(service+"-apply", "sidestream", mounts, kafka, "apply", "/ksql/"+service, "--server=http://"+service+"-sql:8088")
	}
	var orders *dockertest.Resource
	for _, service := range []string{"orders", "inventory", "details"} {
		r := l.run(service, service, nil, append(kafka, "SIDECAR_URL=http://"+service+"-sql:8088", "INSTANCE_ID="+service+"-0"))
		if service == "orders" {
			orders = r
		}
		require.NoError(t, l.pool.Retry(func() error {
			status, body, err := get("http://" + l.address(r) + ":8080/readyz")
			if err == nil && status != http.StatusOK {
				err = fmt.Errorf("%s: %d %s", service, status, body)
			}
			return err
		}), "%s: %s", service, l.logs(r))
	}
	l.once("monitor", "sidestream", nil, nil, "ready", "http://orders-sql:8088/info", "http://orders:8080/readyz")

	api := "http://" + l.address(orders) + ":8080/v1/orders"
	resp, err := http.Post(api, "application/json", strings.NewReader(`{"id":"image-1","customerId":1,"product":"JUMPERS","quantity":1,"price":20}`))
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, http.StatusCreated, resp.StatusCode)
	status, body, err := get(api + "/image-1/validated?timeout=20000")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status, body)
	// All three validators have had their say: nobody has stocked anything.
	require.Contains(t, body, `"state":"FAILED"`)
	require.Contains(t, body, "INVENTORY_CHECK")
}
