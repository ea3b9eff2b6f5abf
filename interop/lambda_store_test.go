package interop

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"waggle/frontend/lambda/lambdatest"
)

// startDynalite starts a server of DynamoDB's protocol, with a table of waggle's, and
// returns the table's URL and what else clients of it have in their environment.
func startDynalite(t *testing.T) (url string, environment []string) {
	t.Helper()
	script, err := filepath.Abs("../store/dynamodb/node_modules/dynalite/cli.js")
	if err == nil {
		_, err = os.Stat(script)
	}
	if err != nil {
		t.Fatalf("dynalite not found: run `%s`, which installs it (%v)", makeTest, err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(address, ":")
	start(t, loopback, "dynalite", program(t, "node", makeTest), script, "--host", host, "--port", port, "--createTableMs", "0")
	url = "dynamodb://waggle?region=us-east-1&endpoint=http://" + address
	environment = []string{"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret"}
	eventually(t, 30*time.Second, "the table is made", func() error {
		cmd := exec.CommandContext(t.Context(), waggle(t), "dynamodb", "create-table", url)
		cmd.Env = append(os.Environ(), environment...)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	return url, environment
}

func TestEnvironmentsOfAFunctionAreOneTracker(t *testing.T) {
	t.Parallel()
	table, environment := startDynalite(t)
	var trackers []*tracker
	for range 2 { // environments, each with a URL of its own
		api := lambdatest.New()
		t.Cleanup(api.Close)
		url := httptest.NewServer(api.FunctionURL())
		t.Cleanup(url.Close)
		p := startFunction(t, api, append(environment, "WAGGLE_STORE="+table)...)
		trackers = append(trackers, &tracker{process: p, urls: []string{url.URL + "/announce"}, http: http.Client{Timeout: 20 * time.Second}})
	}
	if _, err := trackers[0].get(strings.Replace(functionQuery(1000), "left=1", "left=0", 1)); err != nil {
		t.Fatal(err)
	}
	other := strings.NewReplacer("-XX0000-", "-YY0000-", "=1&compact", "=5&compact").Replace(functionQuery(2000))
	body, err := trackers[1].get(other)
	if err != nil || !strings.Contains(body, "8:completei1e") || !strings.Contains(body, "5:peers6:\x7f\x00\x00\x01\x03\xe8") {
		t.Errorf("the other environment answers %q, %v", body, err)
	}
}
